"""The live tree is drawn from events; only sleeping and waiting tasks come from the store."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from drawbar import chain, step, workflow
from drawbar.cli.live import LiveTree
from drawbar.cli.progress import Progress, template_of
from drawbar.results import Event

START = datetime(2027, 1, 1, tzinfo=UTC)


class Script:
    """Apply events to a `Progress`, one second apart."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.seq = 0

    def __call__(self, kind: str, address: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        self.seq += 1
        self.progress.apply(
            Event(self.seq, kind, "r1", address, data or {}, START + timedelta(seconds=self.seq))
        )


def draw(progress: Progress, flow: Any = None, width: int = 90) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(LiveTree(console, flow, "r1", progress).tree())
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@step
def fetch(value: int) -> int:
    return value


@step
def resize(value: int) -> int:
    return value


FLOW = (
    workflow("photos", input=list)
    .foreach(chain(fetch, resize, id="thumbs"), concurrency=2)
    .sleep(30, id="nap")
    .then(step(lambda value: 1, id="done"))
    .commit()
)


def test_tasks_of_one_node_are_summed_up() -> None:
    event = Script()
    event("run.started")
    for index in range(3):
        event("task.started", f"thumbs[{index}].fetch", {"attempt": 1})
        event("task.completed", f"thumbs[{index}].fetch")
    event("task.started", "thumbs[0].resize", {"attempt": 1})
    event("task.failed", "thumbs[0].resize", {"error": {"type": "ValueError", "message": "too\nsmall"}})
    event("task.started", "thumbs[1].resize", {"attempt": 1})
    text = draw(event.progress, FLOW)
    took = text.split("running  ")[-1].split("  ")[0]
    assert text.splitlines() == [
        "● photos  r1  running",
        "├── for each · 2 at a time",
        "│   ├── ✓ fetch  3 done  5.00 s",
        f"│   └── ✗ resize  1 failed, 1 running  {took}  ValueError: too small",
        "├── · sleep 30 s",
        "└── · done",
    ]


def test_a_step_takes_the_time_of_its_last_attempt() -> None:
    event = Script()
    event("run.started")
    event("task.scheduled", "fetch")
    event("task.started", "fetch", {"attempt": 1})
    event("task.retrying", "fetch", {"error": {"type": "OSError", "message": "down"}})
    for _ in range(10):
        event("task.emitted", "fetch")
    now = START + timedelta(seconds=event.seq)
    retrying = event.progress.row("fetch", now)
    assert retrying is not None
    assert (retrying.state, retrying.seconds) == ("retrying", 1)

    event("task.started", "fetch", {"attempt": 2})
    event("task.emitted", "fetch")
    event("task.completed", "fetch")
    completed = event.progress.row("fetch", now + timedelta(hours=1))
    assert completed is not None
    assert (completed.attempt, completed.seconds) == (2, 2)


def test_sleeping_tasks_come_from_the_store() -> None:
    event = Script()
    event("run.started")
    event("task.started", "thumbs[0].fetch", {"attempt": 1})
    event("task.completed", "thumbs[0].fetch")
    event.progress.update_timers([("nap", "sleeping", datetime.now(UTC).timestamp() + 20.4)])
    text = draw(event.progress, FLOW)
    assert "◔ photos  r1  waiting" in text
    assert "◔ sleep 30 s  sleeping, 20 s left" in text
    event.progress.update_timers([])
    assert "✓ sleep 30 s" in draw(event.progress, FLOW)
    event.progress.update_timers([("nap", "sleeping", None)])
    event("run.cancelled")
    event.progress.finish()
    assert "⊘ sleep 30 s" in draw(event.progress, FLOW)


def test_a_run_of_an_unknown_workflow_shows_each_step_when_it_starts() -> None:
    event = Script()
    event("run.started")
    event("task.started", "poll#1", {"attempt": 1})
    event("task.completed", "poll#1")
    event("task.started", "poll#2", {"attempt": 1})
    event("task.retrying", "poll#2", {"error": {"type": "OSError", "message": "down"}})
    event("task.started", "poll#2", {"attempt": 2})
    event("task.suspended", "poll#2")
    event("run.suspended")
    lines = draw(event.progress).splitlines()
    assert lines[0] == "‖ r1  suspended"
    assert lines[1].startswith("└── ‖ poll#  iteration 2  suspended")


def test_a_terminal_that_cannot_encode_the_marks_gets_ascii_marks() -> None:
    event = Script()
    event("run.started")
    event("task.started", "a", {"attempt": 1})
    event("task.completed", "a")

    class Latin(io.StringIO):
        encoding = "latin-1"

    console = Console(file=Latin(), width=60)
    console.print(LiveTree(console, None, "r1", event.progress).tree())
    assert "+ a" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_tree_too_long_for_the_screen_shows_unfinished_steps() -> None:
    event = Script()
    event("run.started")
    for number in range(50):
        event("task.started", f"step_{number}", {"attempt": 1})
        if number != 30:
            event("task.completed", f"step_{number}")
    console = Console(file=io.StringIO(), width=60, height=10)
    tree = LiveTree(console, None, "r1", event.progress)
    console.print(tree._fit_to_screen())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "49 completed, 1 running" in text
    assert "step_30" in text
    assert len(text.splitlines()) <= 10


def test_a_template_is_an_address_without_numbers() -> None:
    assert template_of("thumbs[3].resize#2") == "thumbs[].resize#"
