"""The Celery engine of Drawbar: carries messages to Celery workers, and knows nothing of what they stand for.

It is used in two ways: `drawbar worker --engine celery` starts a Celery worker with an app of Drawbar's
own, and `install(app)` has the workers of an existing Celery project serve Drawbar's queue too.

Where things run: with the pools threads and solo, event loop, store and ticker are in the worker's one
process. With prefork they are in every child, made after its fork, and never in the parent, which forks
new children whenever it likes: a lock that one of its threads held just then would be locked in the child
for ever. So every child has a ticker; of those that look at the same time, one claims what is due.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, Literal

from celery import Celery, bootsteps, signals, uuid
from pydantic import Field

from drawbar.engine import TASK, AppSettings, Engine, Message, checks, engine_plugin, load_object


class CelerySettings(AppSettings):
    """Settings of the engine `celery`."""

    pool: Literal["prefork", "threads", "solo"] = Field("prefork", description="Pool of `drawbar worker`.")


class CeleryEngine(Engine):
    """Sends messages as tasks of one name, and works on them in Celery workers."""

    name, Settings = "celery", CelerySettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        app, url, t = self.settings.app, self.settings.url, self.core.connect_timeout
        # An app of our own uses this URL whatever CELERY_BROKER_URL says, and waits for its broker for ever.
        conf = {"broker_read_url": url, "broker_write_url": url, "broker_connection_max_retries": None}
        conf |= {"broker_connection_retry_on_startup": True, "worker_prefetch_multiplier": 1}
        conf |= {"broker_transport_options": {"socket_timeout": t, "confirm_publish": True}}  # each takes its own
        self.app = load_object(app, Celery) if app else Celery("drawbar", set_as_current=False, changes=conf)

    @cached_property
    def known(self) -> Any:
        """Queues by name. Not the app's own list: that may take no new ones, or has a worker serve what it sends to."""
        return self.app.amqp.Queues(self.app.amqp.queues, create_missing=True)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Publishes, as a batch where the transport can; past `task_routes`: messages know their queue."""
        if self.app.conf.task_always_eager:
            self.process_soon(messages)
            return
        amqp, options = self.app.amqp, {"serializer": "json", "confirm_timeout": self.core.connect_timeout}
        with self.app.producer_or_acquire() as producer, getattr(producer, "batch", nullcontext)():
            for message in messages:
                task = amqp.create_task_message(uuid(), TASK, (message.to_dict(),), argsrepr="", ignore_result=True)
                amqp.send_task_message(producer, TASK, task, queue=self.known[self.queue_of(message)], **options)

    def register(self) -> None:
        """Makes this engine the one that works on the messages which workers of its app get."""
        # AMQP gives a lost worker's messages back at once; elsewhere a late acknowledgement helps little.
        app, late = self.app, dict.fromkeys(("acks_late", "reject_on_worker_lost"), self.describe().startswith("amqp"))
        if not hasattr(app, "drawbar"):

            @app.task(name=TASK, shared=False, ignore_result=True, rate_limit=0, **late)  # type: ignore[untyped-decorator]
            def process(payload: Any) -> None:
                app.drawbar.process(payload)

            app.steps["worker"].add(Background)
            signals.worker_process_init.connect(lambda **_: app.drawbar.start_background(), weak=False)
            signals.worker_shutting_down.connect(lambda **_: app.drawbar.request_stop(), weak=False)
        app.drawbar = self

    def run_worker(self) -> None:
        """Runs a Celery worker on the queues we serve."""
        self.register()
        self.app.amqp.queues.create_missing = True
        # The name is its own: on RabbitMQ, a second worker of the same name on a machine does not start.
        options = self.settings.model_dump(include={"pool", "concurrency"}) | {"hostname": f"{uuid()}@"}
        self.app.Worker(queues=self.queues, loglevel=self.log_level, without_mingle=True, **options).start()

    def describe(self) -> str:
        """The broker's address."""
        return str(self.app.connection_for_write().as_uri())

    def check(self) -> Sequence[str]:
        """What of the app's configuration would hurt."""
        conf, given = self.app.conf, self.app.conf.broker_transport_options.get
        limit, json = conf.task_soft_time_limit or conf.task_time_limit, "json" in str(conf.accept_content)
        confirms = given("confirm_publish", False) or not self.describe().startswith("amqp")
        return [
            *checks.check_visibility_timeout(given("visibility_timeout"), self.core.message_budget),
            *checks.check_time_limit(limit),
            *checks.check_accepts_json(json),
            *checks.check_publisher_confirms(confirms, self.core.redispatch),
            *checks.check_green_threads(),
        ]

    def serve_queue(self, queue: str) -> None:
        """Has the app's worker take messages of a queue."""
        self.app.amqp.queues.select_add(self.known[queue])


class Background(bootsteps.StartStopStep):  # type: ignore[misc]
    """Has a worker serve our queues, and starts and stops what it needs beside its tasks."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> Any:
        """What Celery starts once the pool is there, and stops or terminates before it."""
        return worker.app.drawbar.background(forks="prefork" in worker.pool_cls.__module__)


def install(app: Celery, **settings: Any) -> None:
    """Has the workers of a Celery project serve Drawbar's queue too; its own tasks are not touched.

    Args:
        app: The project's app, configured.
        settings: As `open_engine` takes them; the others come from the environment and from `drawbar.toml`.
    """
    CeleryEngine.configured(app=app, **settings).register()


plugin = engine_plugin(CeleryEngine)
