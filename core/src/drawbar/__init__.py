"""Drawbar: workflows that are written once, as objects, and run unchanged on any installed engine.

::

    from drawbar import step, workflow

    @step
    async def greet(name: str) -> str:
        return f"Hello, {name}!"

    hello = workflow("hello", input=str).then(greet).commit()
    print(hello.run_sync("world").output)

The modules that run workflows (engines, stores, results) are imported at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from drawbar.authoring.begin import workflow
from drawbar.authoring.bodies import chain
from drawbar.authoring.builder import Builder
from drawbar.authoring.workflow import Workflow
from drawbar.errors import (
    AmbiguousResume,
    ConfigurationError,
    DefinitionError,
    DrawbarError,
    EngineAmbiguous,
    EngineError,
    EngineIncompatible,
    EngineLoadError,
    EngineNotFound,
    EventTimeout,
    FatalError,
    GraphError,
    InvalidInput,
    InvalidOutput,
    NotSuspended,
    PluginError,
    RetryAfter,
    RunCancelled,
    RunConflict,
    RunError,
    RunFailed,
    RunFinished,
    RunNotFound,
    RunSuspended,
    SettingsError,
    StepError,
    StepTimeout,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    StoreVersionError,
    ValueTooLarge,
    WorkerLost,
)
from drawbar.records import RunStatus, TaskStatus
from drawbar.steps import Retry, Step, load_steps, step
from drawbar.steps.context import Context
from drawbar.values.refs import output_of, run_input, run_state, value_at

if TYPE_CHECKING:
    from drawbar.client.client import Client, open_engine
    from drawbar.client.run import Run
    from drawbar.plugins.hookspecs import hookimpl
    from drawbar.results import ErrorInfo, Event, RunResult, StepResult

    __version__: str

__all__ = [
    "AmbiguousResume",
    "Builder",
    "Client",
    "ConfigurationError",
    "Context",
    "DefinitionError",
    "DrawbarError",
    "EngineAmbiguous",
    "EngineError",
    "EngineIncompatible",
    "EngineLoadError",
    "EngineNotFound",
    "ErrorInfo",
    "Event",
    "EventTimeout",
    "FatalError",
    "GraphError",
    "InvalidInput",
    "InvalidOutput",
    "NotSuspended",
    "PluginError",
    "Retry",
    "RetryAfter",
    "Run",
    "RunCancelled",
    "RunConflict",
    "RunError",
    "RunFailed",
    "RunFinished",
    "RunNotFound",
    "RunResult",
    "RunStatus",
    "RunSuspended",
    "SettingsError",
    "Step",
    "StepError",
    "StepResult",
    "StepTimeout",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "StoreVersionError",
    "TaskStatus",
    "ValueTooLarge",
    "WorkerLost",
    "Workflow",
    "__version__",
    "chain",
    "hookimpl",
    "load_steps",
    "open_engine",
    "output_of",
    "run_input",
    "run_state",
    "step",
    "value_at",
    "workflow",
]

_LAZY = {
    "Client": "drawbar.client.client",
    "ErrorInfo": "drawbar.results",
    "Event": "drawbar.results",
    "Run": "drawbar.client.run",
    "RunResult": "drawbar.results",
    "StepResult": "drawbar.results",
    "hookimpl": "drawbar.plugins.hookspecs",
    "open_engine": "drawbar.client.client",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        found: object = version("drawbar")
    elif name in _LAZY:
        found = getattr(importlib.import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'drawbar' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
