"""An engine that is broken on purpose: the local one, while something has been replaced by something worse.

The kit does not know; each fault has to be found by the clause that forbids it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from drawbar.engine import Message, engine_plugin
from drawbar_local import LocalEngine, LocalSettings

Replacement = Callable[[Any], Any]
"""Makes what comes in the place of something out of what was there."""


@dataclass(frozen=True)
class Fault:
    """Something that is broken.

    Attributes:
        name: What the broken one does.
        clauses: Those that have to find it.
        lives: One that holds all the same: the engine is broken, not dead.
        patches: Owner, attribute, replacement.
    """

    name: str
    clauses: tuple[str, ...]
    lives: str | None
    patches: tuple[tuple[Any, str, Replacement], ...]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """With the fault."""
        before = [(owner, name, owner.__dict__[name]) for owner, name, _ in self.patches]
        try:
            for owner, name, replace in self.patches:
                setattr(owner, name, replace(getattr(owner, name)))
            yield
        finally:
            for owner, name, was in before:
                setattr(owner, name, was)


FAULTS: dict[str, Fault] = {}


def fault(
    owner: Any, attribute: str, *clauses: str, lives: str | None = "RUN-01"
) -> Callable[[Replacement], Replacement]:
    """Registers a fault named after the function, which gets what is there and gives what comes in its place."""

    def register(replace: Replacement) -> Replacement:
        name = replace.__name__.replace("_", " ")
        FAULTS[name] = Fault(name, clauses, lives, ((owner, attribute, replace),))
        return replace

    return register


class BrokenSettings(LocalSettings):
    """Settings of the engine `broken`."""

    fault: str = Field(description="What is broken.")


class BrokenEngine(LocalEngine):
    """The local engine, with a fault."""

    name = "broken"
    Settings = BrokenSettings  # type: ignore[assignment]

    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Works until cancelled, badly."""
        from tests.conformance import faults_of_core, faults_of_meaning, faults_of_stores

        assert faults_of_core
        assert faults_of_meaning
        assert faults_of_stores
        with FAULTS[self.settings.fault].at_work():
            await super().serve(process, started=started)


plugin = engine_plugin(BrokenEngine)
