"""Drawbar workflows on RQ: an engine that uses only Drawbar's public interface.

An RQ worker does one job at a time. So a worker process has several RQ workers, as threads. Jobs are deleted when
they are done. They have no timeout, because steps have their own. They are JSON, and never unpickled.

Prefer more processes to more threads in a process. Redis hands a job to the connection that has waited longest, even
if the process behind it hangs. Such a job comes again only when Drawbar dispatches its task again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any, ClassVar

from pydantic import Field
from redis import Redis
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from drawbar.engine import Engine, Message, QueueSettings, engine_plugin

__all__ = ["RqEngine", "RqSettings", "plugin"]


class RqSettings(QueueSettings):
    """Settings of the engine `rq`; `broker_url` is that of Redis."""

    threads: int = Field(2, ge=1, description="Jobs that a worker process works on at once.")


class RqEngine(Engine):
    """Send messages as jobs of one function, and work on them in RQ workers."""

    name = "rq"
    Settings = RqSettings
    serving: ClassVar["RqEngine"]

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        self.redis = Redis.from_url(self.settings.url, socket_connect_timeout=self.core.connect_timeout)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Enqueue messages, all those of one queue together."""
        jobs = defaultdict(list)
        for message in messages:
            job = Queue.prepare_data(
                "drawbar_rq.work", [message.to_dict()], timeout=-1, result_ttl=0, failure_ttl=60
            )
            jobs[self.queue_of(message)].append(job)
        for name, jobs_of_queue in jobs.items():
            queue = Queue(name, connection=self.redis, serializer=JSONSerializer)
            queue.enqueue_many(jobs_of_queue)

    def run_worker(self) -> None:
        """Run RQ workers on the queues of this worker, until the process is told to stop."""
        RqEngine.serving = self
        workers = [
            Worker(self.queues, connection=self.redis, serializer=JSONSerializer)
            for _ in range(self.settings.threads)
        ]
        options = {"logging_level": "WARNING"}
        threads = [Thread(target=worker.work, kwargs=options, daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        self.wait_for_stop(lambda: [worker.register_death() for worker in workers], threads)


class Worker(SimpleWorker):
    """An RQ worker in a thread. Signals belong to the main thread."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        """Install none."""

    def check_for_suspension(self, burst: bool) -> None:
        """Take no more jobs when the process is told to stop."""
        if RqEngine.serving.stop_requested:
            raise StopRequested
        super().check_for_suspension(burst)


def work(payload: Mapping[str, str]) -> None:
    """Work on a message: the function of all jobs."""
    RqEngine.serving.process(payload)


plugin = engine_plugin(RqEngine)
