"""The part of the engine in the processes of a Celery worker: what runs there, when it starts, and when it stops.

With the pools threads and solo, the worker is one process. Event loop, store and ticker are in that process.

With prefork, they are in every child process, and are started after its fork. They are never in the parent: it forks
new children at any time, and a lock that one of its threads holds at that moment stays locked in the child forever.
So every child has a ticker. When several of them look for due tasks at the same time, one claims each task.
"""

from typing import Any

from celery import Celery, bootsteps, signals

from drawbar.engine import TASK
from drawbar_celery.guard import GuardStep


def prepare_workers(app: Celery, *, acknowledge_late: bool) -> None:
    """Add Drawbar's task, and what has to run beside it, to the workers of an app.

    The task and the signals look up the engine as `app.drawbar` when they are called. So an app is prepared once,
    however many engines are registered on it one after the other.

    Args:
        app: The app.
        acknowledge_late: True to acknowledge a message after the work on it, not before.
    """
    if hasattr(app, "drawbar"):
        return

    @app.task(  # type: ignore[untyped-decorator]
        name=TASK,
        shared=False,
        ignore_result=True,
        rate_limit=0,
        acks_late=acknowledge_late,
        reject_on_worker_lost=acknowledge_late,
    )
    def process(payload: Any) -> None:
        app.drawbar.process(payload)

    def start_in_child(**_: Any) -> None:
        app.drawbar.start_background()

    def stop_worker(**_: Any) -> None:
        app.drawbar.request_stop()

    app.steps["worker"].add(BackgroundStep)
    app.steps["consumer"].add(GuardStep)
    signals.worker_process_init.connect(start_in_child, weak=False)
    signals.worker_shutting_down.connect(stop_worker, weak=False)


class BackgroundStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Make a worker serve Drawbar's queues, and start and stop what it needs beside its tasks."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> Any:
        """Return the object that Celery starts after the pool, and stops or terminates before it."""
        forks = "prefork" in worker.pool_cls.__module__
        return worker.app.drawbar.background(forks=forks)
