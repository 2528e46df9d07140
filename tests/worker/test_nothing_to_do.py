"""A worker without queues does not start: many task queues would let it serve all queues of the broker."""

from collections.abc import Sequence

import pytest

from drawbar.engine import Engine, Message, QueueSettings
from drawbar.engine.command import run_worker
from drawbar.errors import ConfigurationError
from drawbar.settings import load_settings


class Idle(Engine):
    """An engine that sends no messages."""

    name, Settings = "idle", QueueSettings

    def dispatch(self, messages: Sequence[Message]) -> None:
        """See Engine."""

    def run_worker(self) -> None:
        """See Engine."""
        raise AssertionError("the worker has started")


def test_a_worker_that_serves_no_queue_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawbar.engine.command.engine_of", lambda loaded: Idle)
    arguments = {"store": "memory://", "broker_url": "idle://", "queues": ()}

    with pytest.raises(ConfigurationError, match="the setting queues names no queue"):
        run_worker(load_settings("idle", arguments=arguments))
