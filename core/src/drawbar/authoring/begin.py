"""The function `workflow`: it returns the first, empty builder of a graph."""

# `id` and `input` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from drawbar.authoring.builder import Builder
from drawbar.errors import GraphError
from drawbar.plan import Callbacks
from drawbar.steps.ids import checked_id
from drawbar.steps.policy import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


@overload
def workflow(
    id: str,
    *,
    input: type[I],
    output: type[O],
    state: Any = None,
    retry: Retry | int | None = None,
    version: str | None = None,
    on_start: Callable[..., Any] | None = None,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
    on_finish: Callable[..., Any] | None = None,
) -> Builder[I, I, O]: ...
@overload
def workflow(
    id: str,
    *,
    input: type[I],
    state: Any = None,
    retry: Retry | int | None = None,
    version: str | None = None,
    on_start: Callable[..., Any] | None = None,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
    on_finish: Callable[..., Any] | None = None,
) -> Builder[I, I]: ...
@overload
def workflow(
    id: str,
    *,
    output: type[O],
    state: Any = None,
    retry: Retry | int | None = None,
    version: str | None = None,
    on_start: Callable[..., Any] | None = None,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
    on_finish: Callable[..., Any] | None = None,
) -> Builder[Any, Any, O]: ...
@overload
def workflow(
    id: str,
    *,
    input: Any = None,
    output: Any = None,
    state: Any = None,
    retry: Retry | int | None = None,
    version: str | None = None,
    on_start: Callable[..., Any] | None = None,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
    on_finish: Callable[..., Any] | None = None,
) -> Builder[Any, Any]: ...
def workflow(
    id: str,
    *,
    input: Any = None,
    output: Any = None,
    state: Any = None,
    retry: Retry | int | None = None,
    version: str | None = None,
    on_start: Callable[..., Any] | None = None,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
    on_finish: Callable[..., Any] | None = None,
) -> Any:
    """Begin a workflow.

    Args:
        id: Id of the workflow, in messages, stores and commands: letters, digits, `_` and `-`.
        input: Type of the input. Default: any JSON.
        output: Type of the output. Default: the type of the last value.
        state: Model of the run's state; every field needs a default. Default: the state is a dict.
        retry: Default retry policy of the steps: a `Retry`, or the number of attempts. Default: one attempt.
        version: A string that distinguishes this graph from an earlier one with the same nodes. Default: none.
        on_start: Function that is called with a `RunResult` before the first step.
        on_success: Function that is called with the `RunResult` of a completed run.
        on_failure: Function that is called with the `RunResult` of a failed run.
        on_finish: Function that is called with the `RunResult` after every end of a run.

    Returns:
        An empty builder: add nodes with its calls, then call `commit()`.

    Raises:
        GraphError: The id is not valid, or a callback cannot be called.
        StepError: The number of attempts is less than 1.
    """
    callbacks = Callbacks(on_start, on_success, on_failure, on_finish)
    for name, callback in vars(callbacks).items():
        if callback is not None and not callable(callback):
            raise GraphError(f"workflow {id!r}: {name}={callback!r} cannot be called; give a function of the RunResult")
    options = {
        "input": input,
        "output": output,
        "state_model": state,
        "retry": Retry.of(retry),
        "version": version,
        "callbacks": callbacks,
    }
    return Builder(checked_id(id, "workflow", GraphError), (), options)
