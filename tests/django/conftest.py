"""Processes and services of a Django project."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.queues.processes import Processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes of the test's own."""
    running = Processes(tmp_path)
    yield running
    running.kill()
