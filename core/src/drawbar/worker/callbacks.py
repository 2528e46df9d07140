"""Runs a workflow's callbacks: `on_start` before the first step, the others after the end.

Their errors are logged.
"""

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
    """Runs the callbacks that a CALLBACK task stands for; never raises.

    A worker that dies in the middle of them leaves the task to another one, which starts over: "once" is at
    least once then.
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
            classify_exception(error, name)  # raises again what comes from outside
            log.exception(
                "%s of workflow %r failed; run %s is not touched by it", name, plan.id, task.run_id
            )
