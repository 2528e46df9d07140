"""The command line of a Celery worker."""

from tests.support.queues import processes


def drawbar_worker(broker: str, store: str, *more: str, pool: str = "prefork", concurrency: int = 2) -> list[str]:
    """The command line of `drawbar worker` on the workflows of these tests."""
    return processes.drawbar_worker("celery", broker, store, *more, pool=pool, concurrency=concurrency)
