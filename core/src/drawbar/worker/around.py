"""The call of a sync function, with the context managers of plugins around it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from drawbar.steps.context import Context
    from drawbar.steps.step import Step

Around: TypeAlias = "Callable[[Step[..., Any], Context], Sequence[AbstractContextManager[Any]]]"
"""Returns the context managers of the hook `drawbar_wrap_call`."""


def call_around(
    around: Around, step: Step[..., Any], ctx: Context, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call a step's function in the current thread, inside the context managers of plugins.

    Args:
        around: Returns the context managers.
        step: The step.
        ctx: The context of the attempt.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Returns:
        What the function returned.

    Raises:
        BaseException: The exception that the function, or a plugin, raised.
    """
    result: Any = None
    raised: list[BaseException] = []
    with ExitStack() as stack:
        for manager in around(step, ctx):
            stack.enter_context(manager)
        try:
            result = step.fn(*args, **kwargs)
        except BaseException as error:
            raised.append(error)
            raise
    if raised:  # a context manager has swallowed it, but a step that raised must not complete
        raise raised[0]
    return result
