"""Steps in another process: what travels there and back, and what is made of what cannot."""

from __future__ import annotations

import logging
import pickle
import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_process

from drawbar.errors import FatalError, InvalidOutput
from drawbar.steps.callables import find_by_name, importable_name
from drawbar.steps.step import Step
from drawbar.values.json_form import show
from drawbar.worker.failures import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _ChildNoise(logging.Filter):
    """Drops a false alarm of asyncio's.

    When a process pool closes, CPython's child watcher may find that a child has been waited for already
    (BaseSubprocessTransport.close polls it), and warns of a return code that nobody asks for.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        return not str(record.msg).startswith("Unknown child process pid")


_child_noise = _ChildNoise()


class _Raised(Exception):
    """Stands for an exception that pickle does not bring back: the names of its classes, and its text."""

    def __init__(self, classes: Sequence[tuple[str, str]], text: str) -> None:
        super().__init__(classes, text)
        self.classes = classes
        self.text = text


async def run_in_process(step: Step[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Calls a step's function in a process of anyio's pool. Cancelled, it kills the process."""
    named = importable_name(step.fn)
    if named is None:
        raise FatalError(
            f"step {step.id!r}: another process cannot import {step.fn!r} by its name; define it at the top of "
            "a module, under its own name, or use run_in='thread'"
        )
    logging.getLogger("asyncio").addFilter(_child_noise)
    # The child imports a script as `__mp_main__`, and its classes come back under that name.
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])
    try:
        output = await anyio.to_process.run_sync(_call, *named, args, kwargs, cancellable=True)
    except _Raised as raised:
        raise _same_kind(raised) from None
    except anyio.BrokenWorkerProcess as error:
        text = f"step {step.id!r}: its process died before it answered (killed? out of memory?)"
        raise anyio.BrokenWorkerProcess(text) from error
    return pickle.loads(output)


def _call(module: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """In the child: the output, pickled. Here it is known what cannot be; the parent would only see a broken answer."""
    try:
        found = find_by_name(module, name)
        # The name may stand for the step that was made of the function.
        function = found.fn if isinstance(found, Step) else found
        output = function(*args, **kwargs)
    except Exception as error:
        if _travels(error):
            raise
        classes = [(kind.__module__, kind.__qualname__) for kind in type(error).__mro__]
        raise _Raised(classes, text_of(error)) from None
    try:
        return pickle.dumps(output)
    except Exception as error:  # noqa: BLE001 - `__reduce__` of the user's may raise anything
        text = f"its output, {show(output)}, cannot leave the process that it runs in: {error}"
        raise InvalidOutput(text) from None


def _travels(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # noqa: BLE001 - constructors with arguments of their own, locks, local classes
        return False


def _same_kind(raised: _Raised) -> Exception:
    """An exception of that name and text, which `Retry(on=…)` takes for what it was.

    It is one of the first class of it that can be found here: an `except` and an `on=` go by classes.
    """
    found = (find_by_name(module, name) for module, name in raised.classes)
    base = next(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
    module, name = raised.classes[0]
    kind: Any = type(name, (base,), {"__module__": module, "__str__": lambda _: raised.text})
    error: Exception = kind.__new__(kind, raised.text)
    return error
