"""Drawbar engine on RQ, written with Drawbar's public interface only.

An RQ worker does one job at a time, so a worker process runs several RQ workers in threads. Jobs are deleted when they
are done, have no timeout in RQ because steps have their own, and are never unpickled.

Run more processes instead of many threads. Redis gives a job to the connection that has waited longest, even if its
process hangs. Such a job runs only when Drawbar dispatches it again.
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
    """Settings of the engine `rq`. `broker_url` is the URL of Redis."""

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
        """Enqueue the messages, all of one queue in one call."""
        jobs = defaultdict(list)
        for message in messages:
            job = Queue.prepare_data(
                "drawbar_rq.work", [message.to_dict()], timeout=-1, result_ttl=0, failure_ttl=60
            )
            jobs[message.queue or self.settings.queue].append(job)
        for queue, those in jobs.items():
            Queue(queue, connection=self.redis, serializer=JSONSerializer).enqueue_many(those)

    def run_worker(self) -> None:
        """Run RQ workers on the queues that this worker serves."""
        RqEngine.serving = self
        workers = [
            Worker(self.queues, connection=self.redis, serializer=JSONSerializer)
            for _ in range(self.settings.threads)
        ]
        for worker in workers:
            Thread(target=worker.work, kwargs={"logging_level": "WARNING"}, daemon=True).start()
        self.wait_for_stop(lambda: [worker.register_death() for worker in workers])


class Worker(SimpleWorker):
    """An RQ worker that runs in a thread. Only the main thread can handle signals."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        """Install no signal handlers."""

    def check_for_suspension(self, burst: bool) -> None:
        """Take no more jobs when the process is asked to stop."""
        if RqEngine.serving.ending:
            raise StopRequested
        super().check_for_suspension(burst)


def work(payload: Mapping[str, str]) -> None:
    """Process a message. This is the function of every job."""
    RqEngine.serving.process(payload)


plugin = engine_plugin(RqEngine)
