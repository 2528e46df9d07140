"""Display of a run as a tree that is redrawn in place: for terminals."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from drawbar.graph.render.outline import Box, Frame, Item, Split, items_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from drawbar.cli.captured import Captured
    from drawbar.cli.progress import Progress, Row
    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.results import Event

_STYLES = {
    "pending": "dim",
    "scheduled": "cyan",
    "running": "bold cyan",
    "retrying": "yellow",
    "sleeping": "yellow",
    "waiting": "magenta",
    "suspended": "magenta",
    "resumed": "cyan",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "dim",
}
_MARKS = {
    "pending": "·",
    "scheduled": "○",
    "running": "●",
    "retrying": "↻",
    "sleeping": "◔",
    "waiting": "◔",
    "suspended": "‖",
    "resumed": "○",
    "completed": "✓",
    "failed": "✗",
    "cancelled": "⊘",
}
_PLAIN_MARKS = {
    "pending": ".",
    "scheduled": "o",
    "running": ">",
    "retrying": "~",
    "sleeping": "z",
    "waiting": "z",
    "suspended": "=",
    "resumed": "o",
    "completed": "+",
    "failed": "x",
    "cancelled": "-",
}


class LiveTree:
    """Draw a run's progress while it runs, and the whole tree once more at the end.

    Args:
        console: Where to draw.
        workflow: The workflow, for the shape of the tree. None: steps appear when the run reaches them.
        run_id: Id of the run, for the first line.
        progress: The state to draw.
        captured: What others print to the terminal. It is shown above the tree. None: it is not captured.
    """

    def __init__(
        self,
        console: Console,
        workflow: WorkflowDefinition[Any, Any] | None,
        run_id: str,
        progress: Progress,
        captured: Captured | None = None,
    ) -> None:
        self.console = console
        self.progress = progress
        self._captured = captured
        self._items = () if workflow is None else items_of(workflow.nodes)
        self._title = f"{workflow.id}  " if workflow is not None else ""
        self._run_id = run_id
        self._marks = _MARKS if _can_encode(console, "".join(_MARKS.values())) else _PLAIN_MARKS
        self._spinner = Spinner("dots") if self._marks is _MARKS else None
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=captured is None,
            redirect_stderr=captured is None,
        )
        self._drawn = 0.0

    def open(self) -> None:
        """Start drawing."""
        self._live.start()

    def event(self, event: Event) -> None:
        """Do nothing: `progress` has the event already, and `tick` draws it."""

    def notice(self, text: str) -> None:
        """Show a notice above the tree."""
        self.console.print(Text(text, style="yellow"), soft_wrap=True)

    def tick(self) -> None:
        """Draw if anything has changed or a running time has to move on. Call it a few times a second."""
        if self._captured is not None:
            self._print_above(self._captured.take())
        now = time.monotonic()
        if self.progress.changed or now - self._drawn > 0.09:
            self.progress.changed = False
            self._drawn = now
            self._live.update(self._fit_to_screen(), refresh=True)

    def close(self) -> None:
        """Stop drawing and leave the final tree on the screen."""
        self._live.stop()
        if self._captured is not None:
            self._print_above(self._captured.close())
        self.console.print(self.tree())

    def _print_above(self, text: str) -> None:
        if text:
            text = text.removesuffix("\n")
            shown = Text.from_ansi(text) if "\x1b" in text else Text(text)
            self.console.print(shown, soft_wrap=True)

    def _fit_to_screen(self) -> RenderableType:
        tree = self.tree()
        room = self.console.size.height - 2
        if _lines(tree) <= room:
            return tree
        # Too long for the screen: show only unfinished and failed steps, and the number of tasks in each state.
        return self._summary(room)

    def tree(self) -> Tree:
        """Return the whole tree in its current state."""
        now = datetime.now(UTC)
        status = self.progress.status
        head = Text.assemble(
            self._mark(status),
            " ",
            (self._title, "bold"),
            (self._run_id, "dim"),
            "  ",
            (status, _STYLES.get(status, "")),
        )
        tree = Tree(head, guide_style="dim")
        known: set[str] = set()
        for item in self._items:
            self._add(tree, item, now, known)
        for template in self.progress.templates():
            if template not in known:
                tree.add(self._line(template, self.progress.row(template, now)))
        return tree

    def _add(self, tree: Tree, item: Item, now: datetime, known: set[str], label: str = "") -> None:
        prefix = f"{label}: " if label else ""
        match item:
            case Box(kind="map", template=template):
                known.add(template)
            case Box(title=title, template=template):
                known.add(template)
                tree.add(self._line(prefix + title, self.progress.row(template, now)))
            case Split(kind=kind, arms=arms):
                branch = tree.add(Text(prefix + kind, style="dim"))
                for arm in arms:
                    if arm.item is not None:
                        self._add(branch, arm.item, now, known, arm.label)
            case Frame(title=title, condition=condition, items=items):
                branch = tree.add(Text(prefix + (f"do {condition}" if condition else title), style="dim"))
                for inner in items:
                    self._add(branch, inner, now, known)

    def _line(self, title: str, row: Row | None) -> RenderableType:
        state = "pending" if row is None else row.state
        text = Text.assemble(self._mark(state), " ", (title, "" if row is not None else "dim"))
        if row is None:
            return text
        total = sum(row.counts.values())
        if row.iteration is not None and total == row.iteration:
            text.append(f"  iteration {row.iteration}", style="dim")
        elif total > 1:
            parts = [
                f"{count} {'done' if name == 'completed' else name}" for name, count in row.counts.items()
            ]
            text.append("  " + ", ".join(parts), style="dim")
        elif row.attempt > 1:
            text.append(f"  attempt {row.attempt}", style="yellow")
        if row.state in ("sleeping", "waiting", "suspended"):
            text.append(f"  {row.state}", style=_STYLES[row.state])
            if row.due is not None:
                text.append(f", {max(0.0, row.due - time.time()):.0f} s left", style="dim")
        elif row.seconds is not None:
            text.append(f"  {_seconds(row.seconds)}", style="dim")
        if row.error:
            text.append(f"  {_one_line(row.error)}", style=_STYLES.get(row.state, "red"))
        return text

    def _mark(self, state: str) -> Text:
        if state == "running" and self._spinner is not None and self._live.is_started:
            frame = self._spinner.render(time.monotonic())
            if isinstance(frame, Text):
                return Text(frame.plain, style=_STYLES["running"])
        return Text(self._marks.get(state, "?"), style=_STYLES.get(state, ""))

    def _summary(self, room: int) -> RenderableType:
        now = datetime.now(UTC)
        table = Table.grid()
        table.add_row(self.tree().label)
        counts: dict[str, int] = {}
        rows = []
        for template in self.progress.templates():
            row = self.progress.row(template, now)
            if row is None:
                continue
            for state, count in row.counts.items():
                counts[state] = counts.get(state, 0) + count
            if row.state not in ("completed", "cancelled"):
                rows.append((template, row))
        table.add_row(
            Text("  " + ", ".join(f"{count} {state}" for state, count in counts.items()), style="dim")
        )
        for template, row in rows[-(room - 3) :]:
            table.add_row(Text.assemble("  ", self._line(template, row)))  # type: ignore[arg-type]
        return table


def _lines(tree: Tree) -> int:
    return 1 + sum(_lines(child) for child in tree.children)


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else text[:99] + "…"


def _can_encode(console: Console, text: str) -> bool:
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
