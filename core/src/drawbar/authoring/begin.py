"""Begins a graph: `workflow(…)` gives its first, empty builder."""

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
    """Begins a workflow.

    Args:
        id: Its id: what messages, stores and command lines call it.
        input: The type of what goes in.
        output: The type of what comes out; left out, that of the last step.
        state: The model of the run's state; every field needs a default.
        retry: The default `Retry` (or number of attempts) of its steps.
        version: A text that tells this graph from an earlier one that looks the same.
        on_start: Called with a `RunResult` before the first step.
        on_success: Called with the `RunResult` of a completed run.
        on_failure: Called with the `RunResult` of a failed run.
        on_finish: Called with the `RunResult` after every end.
    """
    callbacks = Callbacks(on_start, on_success, on_failure, on_finish)
    for name, callback in vars(callbacks).items():
        if callback is not None and not callable(callback):
            raise GraphError(
                f"workflow {id!r}: {name}={callback!r} cannot be called; give a function of the RunResult"
            )
    options = {
        "input": input,
        "output": output,
        "state_model": state,
        "retry": Retry.of(retry),
        "version": version,
        "callbacks": callbacks,
    }
    return Builder(checked_id(id, "workflow", GraphError), (), options)
