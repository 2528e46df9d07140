"""The callbacks of a workflow: `on_start` before the first step, the others after the end of a run."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

from drawbar.records import START, RunStatus, Task
from drawbar.results import load_result
from drawbar.worker.failures import classify_exception

if TYPE_CHECKING:
    from drawbar.plan import Plan
    from drawbar.stores.base import Store

log = logging.getLogger("drawbar.callbacks")


async def run_callbacks(store: Store, plan: Plan, task: Task) -> None:
    """Run the callbacks that a CALLBACK task stands for. Their errors are logged, and do not change the run.

    If the worker dies meanwhile, another worker runs the same callbacks again: each is called at least once.

    Args:
        store: The store, for the result that the callbacks get.
        plan: The plan of the run.
        task: The task: `$start` stands for `on_start`, `$end` for the callbacks after the end.
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
            answer = callback(result)
            if inspect.isawaitable(answer):
                await answer
        except BaseException as error:
            classify_exception(error, name)  # raises a cancellation from outside again
            log.exception("%s of workflow %r failed; run %s is not affected", name, plan.id, task.run_id)
