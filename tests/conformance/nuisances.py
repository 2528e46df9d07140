"""Engines that do everything the contract allows: lose messages, deliver them twice, late or in another order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

import anyio
from pydantic import Field

from drawbar.engine import Message, engine_plugin
from drawbar_local import LocalEngine, LocalSettings


class NuisanceSettings(LocalSettings):
    """Settings of the engine `nuisance`."""

    habit: Literal["twice", "shuffled", "late", "lossy"] = Field(description="The way it treats messages.")


class NuisanceEngine(LocalEngine):
    """The local engine with a habit."""

    name = "nuisance"
    Settings = NuisanceSettings  # type: ignore[assignment]

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Deliver messages according to the habit."""
        habit, dice = self.settings.habit, random.Random(len(messages))
        if habit == "twice":
            messages = [message for message in messages for _ in range(2)]
        elif habit == "shuffled":
            messages = [*messages, *messages[::2]]
            dice.shuffle(messages)
        elif habit == "lossy":
            messages = [message for message in messages if random.random() > 0.3]
        elif self._group is not None:
            for message in messages:
                self._group.start_soon(self._late, message, dice.random() / 10)
            return
        await super().dispatch(messages)

    async def _late(self, message: Message, seconds: float) -> None:
        await anyio.sleep(seconds)
        await super().dispatch([message])


plugin = engine_plugin(NuisanceEngine)
