"""The engine: sends messages as tasks of one name, and starts Celery workers that work on them."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

from celery import Celery, uuid

from drawbar.engine import TASK, Engine, Message, checks, load_object
from drawbar_celery.guard import GuardedWorker
from drawbar_celery.settings import CelerySettings
from drawbar_celery.worker import prepare_workers


class CeleryEngine(Engine):
    """Send messages as tasks of one name, and work on them in Celery workers."""

    name = "celery"
    Settings = CelerySettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        if self.settings.app:
            self.app = load_object(self.settings.app, Celery)
        else:
            self.app = make_app(self.settings.url, self.core.connect_timeout)

    @cached_property
    def queues_by_name(self) -> Any:
        """Celery's declarations of queues, by name; a name that is not declared yet gets one.

        This is a copy of the app's own table. That table may refuse new names, and a worker serves each queue that
        is added to it, so a queue that is only sent to must not be in it.
        """
        return self.app.amqp.Queues(self.app.amqp.queues, create_missing=True)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Publish messages, as a batch where the transport can.

        The project's `task_routes` are not asked, since a message knows its queue.
        """
        if self.app.conf.task_always_eager:
            self.process_soon(messages)
            return
        with self.app.producer_or_acquire() as producer:
            begin_batch = getattr(producer, "batch", nullcontext)
            with begin_batch():
                for message in messages:
                    self._publish(message, producer)

    def _publish(self, message: Message, producer: Any) -> None:
        amqp = self.app.amqp
        task = amqp.create_task_message(uuid(), TASK, (message.to_dict(),), argsrepr="", ignore_result=True)
        amqp.send_task_message(
            producer,
            TASK,
            task,
            queue=self.queues_by_name[self.queue_of(message)],
            serializer="json",
            confirm_timeout=self.core.connect_timeout,
        )

    def register(self) -> None:
        """Make this engine the one that works on the messages which workers of its app receive."""
        # AMQP gives the messages of a lost worker back at once. Elsewhere a late acknowledgement helps little.
        prepare_workers(self.app, acknowledge_late=checks.is_amqp(self.describe()))
        self.app.drawbar = self

    def run_worker(self) -> None:
        """Run a Celery worker in this process, on the queues of the setting `queues`.

        Raises:
            EngineError: The worker has ended, and nothing had told it to.
        """
        self.register()
        self.app.amqp.queues.create_missing = True
        GuardedWorker(
            app=self.app,
            # On RabbitMQ, a second worker of the same name on a machine does not start.
            hostname=f"{uuid()}@",
            queues=self.queues,
            pool=self.settings.pool,
            concurrency=self.settings.concurrency,
            loglevel=self.log_level,
            without_mingle=True,
        ).start()

    def serve_queue(self, queue: str) -> None:
        """Make the worker of this process take messages of a queue."""
        self.app.amqp.queues.select_add(self.queues_by_name[queue])

    def describe(self) -> str:
        """Return the address of the broker, without its password."""
        return str(self.app.connection_for_write().as_uri())

    def check(self) -> Sequence[str]:
        """Return warnings about the configuration of the app."""
        conf = self.app.conf
        transport_options = conf.broker_transport_options
        confirms = transport_options.get("confirm_publish", False) or not checks.is_amqp(self.describe())
        return [
            *checks.check_visibility_timeout(transport_options.get("visibility_timeout"), self.core.message_budget),
            *checks.check_time_limit(conf.task_soft_time_limit or conf.task_time_limit),
            *checks.check_accepts_json("json" in str(conf.accept_content)),
            *checks.check_publisher_confirms(confirms, self.core.redispatch),
            *checks.check_green_threads(),
        ]


def make_app(url: str | None, connect_timeout: float) -> Celery:
    """Return an app for workers and clients that are not part of a Celery project.

    Args:
        url: URL of the broker.
        connect_timeout: Seconds to wait for an answer of the broker.
    """
    configuration = {
        # These two win over the environment variable CELERY_BROKER_URL.
        "broker_read_url": url,
        "broker_write_url": url,
        # A worker waits for its broker without limit.
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        "worker_prefetch_multiplier": 1,
        # A transport ignores what it does not know: the timeout is for Redis, the confirmation for AMQP.
        "broker_transport_options": {"socket_timeout": connect_timeout, "confirm_publish": True},
    }
    return Celery("drawbar", set_as_current=False, changes=configuration)
