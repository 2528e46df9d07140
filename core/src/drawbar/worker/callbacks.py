"""The callbacks of a workflow: `on_start` before the first step, the others after the end of a run."""

from __future__ import annotations

import inspect
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from drawbar.records import START, RunStatus, Task
from drawbar.results import load_result
from drawbar.steps.context import Context
from drawbar.steps.policy import Policy
from drawbar.steps.signature import is_async
from drawbar.steps.step import Step
from drawbar.worker.around import call_around
from drawbar.worker.failures import classify_exception
from drawbar.worker.isolation import in_context
from drawbar.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context as Variables

    from drawbar.plan import Plan
    from drawbar.results import RunResult
    from drawbar.stores.base import Store
    from drawbar.worker.around import Around

log = logging.getLogger("drawbar.callbacks")


async def run_callbacks(store: Store, plan: Plan, task: Task, clean: Variables, around: Around | None) -> None:
    """Run the callbacks that a CALLBACK task stands for. Their errors are logged, and do not change the run.

    Each runs in a context of its own. A sync one runs in a thread: it may block, and call the sync twins of a client.

    If the worker dies meanwhile, another worker runs the same callbacks again: each is called at least once.

    Args:
        store: The store, for the result that the callbacks get.
        plan: The plan of the run.
        task: The task: `$start` stands for `on_start`, `$end` for the callbacks after the end.
        clean: The context variables that each callback starts with.
        around: Returns the context managers of the hook `drawbar_wrap_call`; None if no plugin has it.
    """
    result = await load_result(store, task.run_id, plan)
    callbacks = plan.callbacks
    if task.address == START:
        wanted = [("on_start", callbacks.on_start)]
    else:
        wanted = [
            ("on_success", callbacks.on_success if result.status is RunStatus.COMPLETED else None),
            ("on_failure", callbacks.on_failure if result.status is RunStatus.FAILED else None),
            ("on_finish", callbacks.on_finish),
        ]
    for name, callback in wanted:
        if callback is None:
            continue
        try:
            await in_context(clean.copy(), _call(_wrapped(callback, name, result, task.address, around), result))
        except BaseException as error:
            classify_exception(error, name)  # raises a cancellation from outside again
            log.exception("%s of workflow %r failed; run %s is not affected", name, plan.id, task.run_id)


async def _call(callback: Callable[..., Any], result: RunResult[Any]) -> None:
    if is_async(callback):
        await callback(result)
        return
    answer = await in_thread(partial(callback, result), "a callback")
    if inspect.isawaitable(answer):  # of a lambda or a decorator around an async function
        await answer


def _wrapped(
    callback: Callable[..., Any], name: str, result: RunResult[Any], address: str, around: Around | None
) -> Callable[..., Any]:
    """Return a callback, inside the context managers of plugins if it is sync and there are any."""
    if around is None or is_async(callback):
        return callback
    step = Step(callback, id=name, policy=Policy())
    ctx = Context(
        run_id=result.run_id,
        workflow_id=result.workflow_id,
        step_id=name,
        address=address,
        metadata=result.metadata,
    )
    return lambda result: call_around(around, step, ctx, [result], {})
