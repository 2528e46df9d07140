"""An engine that is broken on purpose: the local engine with one function replaced by a faulty one.

The kit must find each fault by the clauses that forbid it.
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
"""A function that takes the original and returns its replacement."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: The name of the fault: the wrong behaviour.
        clauses: The clauses that must fail.
        lives: A clause that must still hold: the engine is broken, not dead. None if no clause can hold.
        patches: Owner, attribute, replacement.
    """

    name: str
    clauses: tuple[str, ...]
    lives: str | None
    patches: tuple[tuple[Any, str, Replacement], ...]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Apply the fault."""
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
    """Register a fault under the function's name. The function gets the original and returns its replacement."""

    def register(replace: Replacement) -> Replacement:
        name = replace.__name__.replace("_", " ")
        FAULTS[name] = Fault(name, clauses, lives, ((owner, attribute, replace),))
        return replace

    return register


class BrokenSettings(LocalSettings):
    """Settings of the engine `broken`."""

    fault: str = Field(description="Name of the fault.")


class BrokenEngine(LocalEngine):
    """The local engine, with a fault."""

    name = "broken"
    Settings = BrokenSettings  # type: ignore[assignment]

    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Work until cancelled, with the fault."""
        from tests.conformance import faults_of_core, faults_of_meaning, faults_of_stores

        assert faults_of_core
        assert faults_of_meaning
        assert faults_of_stores
        with FAULTS[self.settings.fault].at_work():
            await super().serve(process, started=started)


plugin = engine_plugin(BrokenEngine)
