"""A client that was opened before a fork cannot be used after it: its event loop is in the other process."""

import os
from pathlib import Path

import pytest

from drawbar import DrawbarError, open_engine, step, workflow


@step
def inc(n: int) -> int:
    return n + 1


flow = workflow("flow", input=int, output=int).then(inc).commit()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of threads, at a fork
def test_a_client_that_was_opened_before_a_fork_says_so(tmp_path: Path) -> None:
    """Without the error it would wait for ever, in the children of a web server that loads its application first."""
    answer = tmp_path / "answer"
    with open_engine("local", store=f"sqlite:///{tmp_path}/runs.db") as engine:
        if (child := os.fork()) == 0:
            try:
                engine.start_sync(flow, 1)
            except DrawbarError as error:
                answer.write_text(str(error), encoding="utf-8")
            finally:
                os._exit(0)
        os.waitpid(child, 0)

        assert engine.start_sync(flow, 1).result_sync(10).unwrap() == 2
    assert "from which this one was forked: call open_engine(...) after the fork" in answer.read_text("utf-8")


def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(DrawbarError, match="this engine is not open"):
        open_engine("local").start_sync(flow, 1)
