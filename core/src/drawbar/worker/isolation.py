"""Contexts of their own: what one call of user code sets in context variables is seen by no other call.

A worker works on many runs in few tasks and threads. So the context of its own task says nothing about a run, and user
code never runs in it. Each piece of user code runs in a context that is made for it.
"""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

T = TypeVar("T")


@coroutine
def in_context(context: Context, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await a coroutine in a context, within the current task.

    A task of its own would do the same, but costs more than a short step does.

    Args:
        context: The context. It must not be in use elsewhere meanwhile.
        work: The coroutine.

    Returns:
        The coroutine's result.
    """
    resume: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        try:
            wanted = context.run(resume, value)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            value = None  # keeps no exception alive
        try:
            value = yield wanted
            resume = work.send
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in belongs to the coroutine
            resume = work.throw
            value = error
