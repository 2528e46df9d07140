"""Drawbar workflows on RQ: an engine written against Drawbar's public interface alone.

A worker process has several of RQ's workers, as threads, for a worker of RQ does one job at a time. Jobs
are deleted when they are done, have no timeout of RQ's (steps have their own), and are never unpickled.

Few threads a process, and rather more processes: Redis hands a job to whoever waits longest, even if the
process behind that connection hangs, and such a job comes again only when Drawbar dispatches it again.
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
    """Sends messages as jobs of one function, and works on them in RQ workers."""

    name = "rq"
    Settings = RqSettings
    serving: ClassVar["RqEngine"]

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        self.redis = Redis.from_url(self.settings.url, socket_connect_timeout=self.core.connect_timeout)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Enqueues the messages, those of a queue in one go."""
        jobs = defaultdict(list)
        for message in messages:
            job = Queue.prepare_data(
                "drawbar_rq.work", [message.to_dict()], timeout=-1, result_ttl=0, failure_ttl=60
            )
            jobs[message.queue or self.settings.queue].append(job)
        for queue, those in jobs.items():
            Queue(queue, connection=self.redis, serializer=JSONSerializer).enqueue_many(those)

    def run_worker(self) -> None:
        """Runs RQ workers on the queues we serve."""
        RqEngine.serving = self
        workers = [
            Worker(self.queues, connection=self.redis, serializer=JSONSerializer)
            for _ in range(self.settings.threads)
        ]
        for worker in workers:
            Thread(target=worker.work, kwargs={"logging_level": "WARNING"}, daemon=True).start()
        self.wait_for_stop(lambda: [worker.register_death() for worker in workers])


class Worker(SimpleWorker):
    """A worker of RQ in a thread: signals are the main thread's."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        """Installs none."""

    def check_for_suspension(self, burst: bool) -> None:
        """Takes no more jobs when the process is to end."""
        if RqEngine.serving.ending:
            raise StopRequested
        super().check_for_suspension(burst)


def work(payload: Mapping[str, str]) -> None:
    """The function of all jobs."""
    RqEngine.serving.process(payload)


plugin = engine_plugin(RqEngine)
