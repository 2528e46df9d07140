"""Engines that do everything the contract allows: lose messages, deliver them twice, late or in another order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import anyio
from pydantic import Field

from drawbar.engine import Message, engine_plugin
from drawbar_local import LocalEngine, LocalSettings

MOST_LOSSES = 3
"""How often a message is lost at most. The store waits twice as long after each loss, up to a test's patience."""


class NuisanceSettings(LocalSettings):
    """Settings of the engine `nuisance`."""

    habit: Literal["twice", "shuffled", "late", "lossy"] = Field(description="The way it treats messages.")


class NuisanceEngine(LocalEngine):
    """The local engine with a habit."""

    name = "nuisance"
    Settings = NuisanceSettings  # type: ignore[assignment]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._losses: Counter[Message] = Counter()

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Deliver messages according to the habit."""
        habit, dice = self.settings.habit, random.Random(len(messages))
        if habit == "twice":
            messages = [message for message in messages for _ in range(2)]
        elif habit == "shuffled":
            messages = [*messages, *messages[::2]]
            dice.shuffle(messages)
        elif habit == "lossy":
            messages = [message for message in messages if not self._loses(message)]
        elif self._group is not None:
            for message in messages:
                self._group.start_soon(self._late, message, dice.random() / 10)
            return
        await super().dispatch(messages)

    def _loses(self, message: Message) -> bool:
        """Return True if this message is lost, which happens to a third of them."""
        if self._losses[message] >= MOST_LOSSES or random.random() > 0.3:
            return False
        self._losses[message] += 1
        return True

    async def _late(self, message: Message, seconds: float) -> None:
        await anyio.sleep(seconds)
        await super().dispatch([message])


plugin = engine_plugin(NuisanceEngine)
