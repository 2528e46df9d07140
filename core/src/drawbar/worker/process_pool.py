"""Steps in another process: call the function there, and bring its output or its exception back."""

from __future__ import annotations

import logging
import pickle
import sys
from contextvars import Context as Variables
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_process

from drawbar.errors import FatalError, InvalidOutput
from drawbar.plugins.hook_calls import call_wrappers
from drawbar.steps.callables import find_by_name, importable_name
from drawbar.steps.context import Context
from drawbar.steps.policy import Policy
from drawbar.steps.step import Step
from drawbar.values.text import show, text_of
from drawbar.worker.around import call_around

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drawbar.worker.around import Around


FACTS = ("run_id", "workflow_id", "step_id", "address", "attempt", "iteration", "index", "engine", "metadata")
"""The attributes of a context that another process gets."""


class _UnknownChildFilter(logging.Filter):
    """Drop a false alarm of asyncio's log.

    When a process pool closes, CPython's child watcher may find that a child was waited for already, by
    `BaseSubprocessTransport.close`. It then warns about a missing return code, which is not needed here.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the record is to be logged."""
        return not str(record.msg).startswith("Unknown child process pid")


_unknown_child_filter = _UnknownChildFilter()


class _UnpicklableError(Exception):
    """Stands for an exception that cannot be pickled.

    Args:
        classes: Module and qualified name of its class and of each base class, the class itself first.
        text: Its text.
    """

    def __init__(self, classes: Sequence[tuple[str, str]], text: str) -> None:
        super().__init__(classes, text)
        self.classes = classes
        self.text = text


async def run_in_process(
    step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], ctx: Context | None = None
) -> Any:
    """Call a step's function in a process of anyio's pool. A cancellation kills the process.

    Args:
        step: The step.
        args: Positional arguments.
        kwargs: Keyword arguments.
        ctx: The context of the attempt, if plugins have the hook `drawbar_wrap_call`; else None.

    Returns:
        What the function returned.

    Raises:
        FatalError: The other process cannot import the function.
        InvalidOutput: The output cannot be pickled.
        BrokenWorkerProcess: The process died.
        Exception: The error that the function raised, or one of the same name and text if it cannot be pickled.
    """
    named = importable_name(step.fn)
    if named is None:
        raise FatalError(
            f"step {step.id!r}: another process cannot import {step.fn!r} by its name; define it at the top of "
            "a module, under its own name, or use run_in='thread'"
        )
    logging.getLogger("asyncio").addFilter(_unknown_child_filter)
    # The child imports a script as `__mp_main__`, and its classes come back under that name.
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])
    try:
        output = await anyio.to_process.run_sync(_call, *named, args, kwargs, _facts_of(ctx), cancellable=True)
    except _UnpicklableError as stand_in:
        raise _rebuilt(stand_in) from None
    except anyio.BrokenWorkerProcess as error:
        text = f"step {step.id!r}: its process died before it answered (killed? out of memory?)"
        raise anyio.BrokenWorkerProcess(text) from error
    return pickle.loads(output)


def _facts_of(ctx: Context | None) -> dict[str, Any] | None:
    """Return the arguments that make a context in another process; None for no context."""
    return None if ctx is None else {name: getattr(ctx, name) for name in FACTS}


def _call(
    module: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], facts: Mapping[str, Any] | None
) -> bytes:
    """Call the function, and return its output pickled. Runs in the other process.

    Only this process can say which output or exception cannot be pickled. The parent would only see a broken answer.
    """
    try:
        found = find_by_name(module, name)
        # With the decorator, the name stands for the step that was made from the function.
        function = found.fn if isinstance(found, Step) else found
        around = call_wrappers() if facts is not None else None
        if around is not None and facts is not None:
            step: Step[..., Any] = Step(function, id=facts["step_id"], policy=Policy(run_in="process"))
            function = partial(_call_wrapped, around, step, Context(**facts))
        output = Variables().run(function, *args, **kwargs)  # the process runs one step after another
    except Exception as error:
        if _survives_pickling(error):
            raise
        classes = [(kind.__module__, kind.__qualname__) for kind in type(error).__mro__]
        raise _UnpicklableError(classes, text_of(error)) from None
    try:
        return pickle.dumps(output)
    except Exception as error:  # noqa: BLE001 - `__reduce__` is user code
        text = f"its output, {show(output)}, cannot leave the process that it runs in: {error}"
        raise InvalidOutput(text) from None


def _call_wrapped(around: Around, step: Step[..., Any], ctx: Context, *args: Any, **kwargs: Any) -> Any:
    return call_around(around, step, ctx, args, kwargs)


def _survives_pickling(error: Exception) -> bool:
    """Return True if an exception can be pickled and loaded again."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # noqa: BLE001 - constructors with other arguments, locks, local classes
        return False


def _rebuilt(stand_in: _UnpicklableError) -> Exception:
    """Return an exception with the name and text of the one that a stand-in is for.

    Its base class is the first class of the original that can be imported here: `except` and `Retry(on=...)` then
    treat it like the original.
    """
    found = (find_by_name(module, name) for module, name in stand_in.classes)
    base = next(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
    module, name = stand_in.classes[0]
    kind: Any = type(name, (base,), {"__module__": module, "__str__": lambda _: stand_in.text})
    error: Exception = kind.__new__(kind, stand_in.text)
    return error
