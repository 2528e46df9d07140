"""Log messages of a worker at its start."""

from pathlib import Path

import pytest

from drawbar.plugins import load_engine
from drawbar.worker.startup import introduce


def introduced(caplog: pytest.LogCaptureFixture, store: str) -> str:
    caplog.set_level("INFO")
    introduce(load_engine("local").configured(store=store))
    return caplog.text


def test_a_worker_in_this_process_is_told_that_nothing_comes_from_a_store_in_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert "set a store that keeps them" in introduced(caplog, "memory://")


def test_a_worker_on_a_store_that_keeps_runs_is_told_nothing(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert "set a store that keeps them" not in introduced(caplog, f"sqlite:///{tmp_path}/runs.db")
