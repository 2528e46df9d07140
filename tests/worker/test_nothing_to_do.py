"""A worker without queues would serve those of somebody else: task queues take no list for all."""

from collections.abc import Sequence

import pytest

from drawbar.engine import Engine, Message, QueueSettings
from drawbar.engine.command import run_worker
from drawbar.errors import ConfigurationError
from drawbar.settings import load_settings


class Idle(Engine):
    """Goes nowhere."""

    name, Settings = "idle", QueueSettings

    def dispatch(self, messages: Sequence[Message]) -> None:
        """See Engine."""

    def run_worker(self) -> None:
        """See Engine."""
        raise AssertionError("it runs")


def test_a_worker_that_serves_no_queue_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawbar.engine.command.engine_of", lambda loaded: Idle)
    arguments = {"store": "memory://", "broker_url": "idle://", "queues": ()}

    with pytest.raises(ConfigurationError, match="the setting queues names no queue"):
        run_worker(load_settings("idle", arguments=arguments))
