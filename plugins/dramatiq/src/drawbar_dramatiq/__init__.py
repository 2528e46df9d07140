"""The Dramatiq engine of Drawbar: carries messages to Dramatiq workers, and knows nothing of what they stand for.

It is used in three ways. `drawbar worker --engine dramatiq` starts Dramatiq's worker processes with a broker of
Drawbar's own. `install(broker)` has the workers of an existing Dramatiq project serve Drawbar's queue too. And on a
StubBroker (`broker_url = "stub://"`) the worker is threads of the process that starts the runs: for unit tests.

What follows from a message is dispatched before its actor returns. Not in an after-hook: what those raise Dramatiq
swallows, and acknowledges the message all the same.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import dramatiq.cli
from dramatiq.brokers.stub import StubBroker
from pydantic import Field

from drawbar.engine import TASK, Engine, Message, QueueSettings, engine_plugin, load_object

__all__ = ["DramatiqEngine", "DramatiqSettings", "install", "plugin"]

# No limits of Dramatiq's: core has its own, and what gets lost is sent again from the store. And no results.
LIMITS = {"max_retries": 0, "time_limit": float("inf"), "max_age": None, "notify_shutdown": False}
OPTIONS = {**LIMITS, "store_results": False}


class DramatiqSettings(QueueSettings):
    """Settings of the engine `dramatiq`."""

    project, schemes = "broker", ("redis", "rediss", "unix", "amqp", "amqps", "stub")
    # Not the name that Celery's queue has: RabbitMQ takes a queue from one of them alone, and engines are switched.
    queue: str = Field("drawbar-dramatiq", min_length=1, description="Queue of steps that name none.")
    broker: Any = Field(None, description="Your project's broker (`package.module:name`); then no `broker_url`.")
    processes: int = Field(2, ge=1, description="Processes of `drawbar worker`.")
    threads: int = Field(8, ge=1, description="Messages that each of them works on at once.")


class DramatiqEngine(Engine, dramatiq.Middleware):
    """Sends messages to one actor, and works on them in Dramatiq workers, as a middleware of their broker."""

    name, Settings = "dramatiq", DramatiqSettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        url = self.settings.url or ""
        kind = "stub:Stub" if url == "stub://" else "rabbitmq:Rabbitmq" if url.startswith("amqp") else "redis:Redis"
        options: dict[str, Any] = {} if url == "stub://" else {"url": url, "middleware": []}
        given = self.settings.broker or load_object(f"dramatiq.brokers.{kind}Broker", type)(**options)
        self.broker = load_object(given, dramatiq.Broker)
        # What we send is none of the project's middleware's business; and Dramatiq's own would make a worker serve
        # every queue that it sees a message sent to. RabbitMQ confirms each message: 1 ms that saves `redispatch`.
        self.runs_in_client, self.connection = isinstance(self.broker, StubBroker), copy(self.broker)
        vars(self.connection).update(middleware=[], confirm_delivery=True, connections=set(), channels=set())

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Enqueues one after the other: Dramatiq's brokers take no more at once."""
        for message in messages:
            self.connection.enqueue(dramatiq.Message(self.queue_of(message), TASK, (message.to_dict(),), {}, {}))

    def register(self) -> None:
        """Makes this engine the one that works on the messages which workers of its broker get."""
        self.broker.middleware = [*(m for m in self.broker.middleware if not isinstance(m, Engine)), self]
        for queue in self.queues:  # the last of the actors stays, and the queues of all
            self.broker.actors.pop(TASK, None)
            names: Any = {"actor_name": TASK, "queue_name": queue, "priority": 0}
            dramatiq.Actor(self.process, broker=self.broker, options=OPTIONS, **names)

    def run_worker(self) -> None:
        """Runs Dramatiq's main process, which forks the workers."""
        self.register()
        dramatiq.set_broker(self.broker)
        multiprocessing.set_start_method("fork", force=True)  # for the broker, which is made of our settings
        words = [__name__, f"-p{self.settings.processes}", f"-t{self.settings.threads}", "-Q", *self.queues]
        raise SystemExit(dramatiq.cli.main(dramatiq.cli.make_argument_parser().parse_args(words)))  # type: ignore[no-untyped-call]

    def start_worker(self) -> Callable[[], None]:
        """Starts a Dramatiq worker in this process."""
        self.register()
        worker = dramatiq.Worker(self.broker, queues={*self.queues}, worker_timeout=50)
        worker.start()
        return worker.stop

    def after_consumer_thread_boot(self, broker: Any, thread: Any) -> None:
        """Begins in a worker process that serves one of our queues; `-Q` may keep them out."""
        if thread.queue_name in self.queues:
            self.background(forks=False).start()
            # ms, between two looks of an idle worker on Redis; it would be a second
            thread.worker_timeout, thread.paused = 20, not self.serves

    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Has the worker's threads finish the steps they are at."""
        self.request_stop()

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Comes to an end, even if steps do not."""
        self.finish()


def install(broker: dramatiq.Broker, **settings: Any) -> None:
    """Has the workers of a Dramatiq project serve Drawbar's queue too; its own actors are not touched.

    Args:
        broker: The project's broker.
        settings: As `open_engine` takes them; the others come from the environment and from `drawbar.toml`.
    """
    DramatiqEngine.configured(broker=broker, **settings).register()


plugin = engine_plugin(DramatiqEngine)
