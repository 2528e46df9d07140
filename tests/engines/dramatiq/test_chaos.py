"""Workers are killed all the time, the broker is emptied and restarted: nothing is lost, nothing counts twice."""

import sys
from pathlib import Path

import pytest

from tests.support.queues.chaos import BROKERS, storm
from tests.support.queues.processes import Processes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", BROKERS)
def test_nothing_is_lost_and_nothing_counts_twice(
    kind: str, processes: Processes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "witnesses"
    folder.mkdir()

    # A death ends a node, which takes seconds to stop and to start again.
    how = storm("dramatiq", kind, processes, folder, calm=3, processes=2, threads=4)

    with capsys.disabled():
        sys.stdout.write(f"\n  {how}\n")
