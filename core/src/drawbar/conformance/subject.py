"""The engine under test, and the settings to open it with."""

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
"""Module with all workflows of the clauses. Workers import it by this name."""

SECOND_QUEUE = "elsewhere"
"""Queue of one step of the flows. Workers serve it too if their engine has the setting `queues`."""

FAST_SETTINGS: Mapping[str, Any] = {
    "workflows": [FLOWS],
    "lease": 2.0,
    "redispatch": 2.0,
    "poll_interval": 0.1,
    "connect_timeout": 10.0,
    "shutdown_timeout": 5.0,
    "fan_out": 20,
}
"""Settings that make recovery take seconds, and that make fan-outs wider than their window."""


@dataclass(frozen=True, kw_only=True)
class EngineUnderTest:
    """An engine under test, and how to open it.

    Attributes:
        name: Its name, as in `open_engine(name)`.
        label: Its name in reports. Default: `name`.
        store: URL of the store. None: `memory://` for an engine in this process, else a SQLite file.
        settings: Settings of the engine, and of the core where the kit's own do not fit.
        flags: More settings, as text, as on a command line.
        xfail: Clauses that the engine cannot hold, each with the reason. A declared clause that holds is an error.
        workers: Number of worker processes.
        worker_command: Command that starts a worker. Default: a process that calls `Engine.run_worker`.
        patience: Seconds that a run may take before the test fails.
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
        """True if it works on tasks in the process that starts the runs, in its event loop or in threads."""
        return self.engine.in_process or self._runs_in_client

    @cached_property
    def _runs_in_client(self) -> bool:
        return self.engine(self.load("memory://", Path.cwd())).runs_in_client

    def store_in(self, folder: Path) -> str:
        """Return the store's URL. Default: a store in this folder, or in memory for an engine in this process."""
        if self.store is not None:
            return self.store
        return "memory://" if self.in_process else f"sqlite:///{folder}/drawbar.db"

    def arguments(self, store: str) -> dict[str, Any]:
        """Return all settings, as the arguments of `load_settings`."""
        given = {**self.settings, **self.flags}
        fast = {key: value for key, value in {**FAST_SETTINGS, **self._queues(given)}.items() if key not in given}
        return {**fast, **self.settings, "store": store}

    def _queues(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the setting `queues` with the second queue, if the engine has this setting."""
        fields = self.engine.Settings.model_fields
        if "queue" not in fields or "queues" not in fields:
            return {}
        return {"queues": [given.get("queue", fields["queue"].default), SECOND_QUEUE]}

    def load(self, store: str, folder: Path, **more: Any) -> LoadedSettings:
        """Return the settings to open the engine with. The environment and configuration files are ignored."""
        from drawbar.settings import load_settings

        arguments = {**self.arguments(store), **more}
        return load_settings(self.name, arguments=arguments, flags=self.flags, cwd=folder, environ={})



def unreachable(reason: str) -> NoReturn:
    """Skip the tests because a service is unreachable; fail them if the environment variable `CI` is set.

    Call it from an `engine` fixture.

    Args:
        reason: The service, and the error.
    """
    text = f"unreachable: {reason}"
    if os.environ.get("CI"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
