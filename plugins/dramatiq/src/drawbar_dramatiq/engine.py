"""The engine: sends messages to one actor, and starts Dramatiq workers that work on them."""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import dramatiq.cli
from dramatiq.brokers.stub import StubBroker

from drawbar.engine import TASK, Engine, Message, load_object
from drawbar_dramatiq.brokers import make_broker, sending_copy
from drawbar_dramatiq.middleware import WorkerMiddleware
from drawbar_dramatiq.settings import DramatiqSettings

STUB_POLL_INTERVAL = 50
"""Milliseconds between two looks of an idle worker on a StubBroker."""

ACTOR_OPTIONS = {
    # Core has its own retries and limits, and sends a lost message again from the store.
    "max_retries": 0,
    "time_limit": float("inf"),
    "max_age": None,
    "notify_shutdown": False,
    # The store has the results.
    "store_results": False,
}


class DramatiqEngine(Engine):
    """Send messages to one actor, and work on them in Dramatiq workers."""

    name = "dramatiq"
    Settings = DramatiqSettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        self.broker = load_object(self.settings.broker or make_broker(self.settings.url or ""), dramatiq.Broker)
        self.connection = sending_copy(self.broker)
        self.runs_in_client = isinstance(self.broker, StubBroker)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Enqueue messages one after the other. Dramatiq's brokers do not take several at once."""
        for message in messages:
            queue = self.queue_of(message)
            self.connection.enqueue(
                dramatiq.Message(
                    queue_name=queue,
                    actor_name=TASK,
                    args=(message.to_dict(),),
                    kwargs={},
                    options={},
                )
            )

    def register(self) -> None:
        """Make this engine the one that works on the messages which workers of its broker receive."""
        others = [each for each in self.broker.middleware if not isinstance(each, WorkerMiddleware)]
        self.broker.middleware = [*others, WorkerMiddleware(self)]
        # An actor has one queue. So each queue is declared by an actor of its own, all of the same name. The broker
        # keeps all the queues and the last of the actors, which works on the messages of every queue.
        for queue in self.queues:
            self.broker.actors.pop(TASK, None)
            dramatiq.Actor(
                self.process,
                broker=self.broker,
                actor_name=TASK,
                queue_name=queue,
                priority=0,
                options=ACTOR_OPTIONS,
            )

    def run_worker(self) -> None:
        """Run Dramatiq's main process, which forks the worker processes."""
        self.register()
        dramatiq.set_broker(self.broker)
        # Forked processes inherit this broker. Others would have to make one, without our settings.
        multiprocessing.set_start_method("fork", force=True)
        arguments = [
            __name__,  # a module that has no broker of its own: Dramatiq takes the one that was set above
            f"--processes={self.settings.processes}",
            f"--threads={self.settings.threads}",
            "--queues",
            *self.queues,
        ]
        parser = dramatiq.cli.make_argument_parser()  # type: ignore[no-untyped-call]
        if code := dramatiq.cli.main(parser.parse_args(arguments)):  # type: ignore[no-untyped-call]
            raise SystemExit(code)

    def start_worker(self) -> Callable[[], None]:
        """Start a Dramatiq worker in threads of this process, on a StubBroker."""
        self.register()
        worker = dramatiq.Worker(self.broker, queues=set(self.queues), worker_timeout=STUB_POLL_INTERVAL)
        worker.start()
        return worker.stop
