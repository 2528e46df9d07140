"""What is tested: an engine, and how to open it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drawbar.engine import Engine
    from drawbar.settings import LoadedSettings

FLOWS = "drawbar.conformance.flows"
"""The module of all workflows of the clauses: workers import it by this name."""

ELSEWHERE = "elsewhere"
"""The queue of a step of the flows; workers of engines that have the setting `queues` serve it too."""

HASTE: Mapping[str, Any] = {
    "workflows": [FLOWS],
    "lease": 2.0,
    "redispatch": 2.0,
    "poll_interval": 0.1,
    "connect_timeout": 10.0,
    "shutdown_timeout": 5.0,
    "fan_out": 20,
}
"""Settings under which recovery takes seconds, and a fan-out is wider than its window."""


@dataclass(frozen=True, kw_only=True)
class EngineUnderTest:
    """An engine, and how to open it.

    Attributes:
        name: Its name, as in `open_engine(name)`.
        label: What reports call it; left out, its name.
        store: URL of the store; None: `memory://` for an engine in this process, else a SQLite file.
        settings: Settings of the engine (and of the core, where the kit's own will not do).
        flags: The same as text, as on a command line.
        xfail: Clauses that it cannot hold, each with the reason. One that holds after all is an error.
        workers: How many worker processes serve it.
        worker_command: What starts a worker, when `Engine.run_worker` is not the way.
        patience: How many seconds a run may take before the kit says that it hangs.
    """

    name: str
    label: str = ""
    store: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    xfail: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    worker_command: Sequence[str] | None = None
    patience: float = 30.0

    def __post_init__(self) -> None:
        for clause, reason in self.xfail.items():
            if not reason.strip():
                raise ValueError(f"xfail: say why {self.name!r} cannot hold {clause}")

    @property
    def engine(self) -> type[Engine]:
        """The engine's class."""
        from drawbar.plugins import load_engine

        return load_engine(self.name)

    @property
    def in_process(self) -> bool:
        """Whether it runs tasks in the process that starts the runs: in its event loop, or in threads."""
        return self.engine.in_process or self._embedded

    @cached_property
    def _embedded(self) -> bool:
        return self.engine(self.load("memory://", Path.cwd())).runs_in_client

    def store_in(self, folder: Path) -> str:
        """The store's URL; where none was given, one of this folder's own."""
        if self.store is not None:
            return self.store
        return "memory://" if self.in_process else f"sqlite:///{folder}/drawbar.db"

    def arguments(self, store: str) -> dict[str, Any]:
        """All settings, as arguments of `load_settings`."""
        given = {**self.settings, **self.flags}
        haste = {key: value for key, value in {**HASTE, **self._queues(given)}.items() if key not in given}
        return {**haste, **self.settings, "store": store}

    def _queues(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The setting `queues`, where there is one: the kit has a step with a queue of its own."""
        fields = self.engine.Settings.model_fields
        if "queue" not in fields or "queues" not in fields:
            return {}
        return {"queues": [given.get("queue", fields["queue"].default), ELSEWHERE]}

    def load(self, store: str, folder: Path, **more: Any) -> LoadedSettings:
        """The settings to open it with: nothing of the machine's environment or files gets in."""
        from drawbar.settings import load_settings

        arguments = {**self.arguments(store), **more}
        return load_settings(self.name, arguments=arguments, flags=self.flags, cwd=folder, environ={})


class Unreachable(Exception):
    """A service that the engine under test needs is not there."""


def unreachable(reason: str) -> NoReturn:
    """For an `engine` fixture whose service is not there: skips on a laptop, fails where `CI` is set."""
    text = f"unreachable: {reason}"
    if os.environ.get("CI"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
