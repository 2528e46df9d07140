"""The layout: sequences from top to bottom, arms of a split side by side, frames around their contents.

Every block knows its size when it is made. Lines enter it at the middle of its upper edge, and leave it at the middle
of its lower edge. So sizes are computed from the inside out, positions from the outside in, and no lines cross.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from drawbar.graph.render.canvas import Canvas, text_width
from drawbar.graph.render.outline import Arm, Box, Frame, Item, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 26.0
"""Distance between two blocks in sequence, with room for an arrow."""
BESIDE = 22.0
"""Distance between two arms of a split."""
TEXT = 13.0
SMALL = 11.0


class Block(ABC):
    """A part of the drawing with a size."""

    width: float
    height: float

    @abstractmethod
    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """Draw the block with the middle of its upper edge at (x, y)."""


class BoxBlock(Block):
    """A step, map, sleep or wait."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.icon = 18.0 if box.kind in ("sleep", "wait") else 0.0
        title = text_width(box.title, TEXT - (1 if box.kind == "map" else 0), mono=box.kind == "map")
        self.width = max(84.0, self.icon + max(title, text_width(box.note, SMALL)) + 28)
        self.height = 46.0 if box.note else (30.0 if box.kind == "map" else 34.0)

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """See `Block`."""
        box, left = self.box, x - self.width / 2
        radius = {"step": 8.0, "map": 4.0}.get(box.kind, self.height / 2 if not box.note else 14.0)
        canvas.rect("shapes", box.kind, left, y, self.width, self.height, radius, box.hint)
        middle = y + self.height / 2
        at = x + self.icon / 2
        if box.kind == "sleep":
            _clock(canvas, left + 19, middle)
        elif box.kind == "wait":
            _envelope(canvas, left + 19, middle)
        canvas.text("code" if box.kind == "map" else "title", at, middle - (8 if box.note else 0), box.title)
        if box.note:
            canvas.text("note", at, middle + 10, box.note)


class PillBlock(Block):
    """The start or the end, with the type of input or output; or the condition of a loop."""

    def __init__(self, text: str, kind: str) -> None:
        self.text, self.kind = text, kind
        mono = kind == "test"
        self.width = max(48.0, text_width(text, SMALL if mono else TEXT, mono=mono) + 26)
        self.height = 26.0

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """See `Block`."""
        kind = "gate" if self.kind == "test" else self.kind
        canvas.rect("shapes", kind, x - self.width / 2, y, self.width, self.height, 13)
        canvas.text("condition" if self.kind == "test" else "title", x, y + self.height / 2, self.text)


class SequenceBlock(Block):
    """Blocks in sequence, joined by arrows."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.width = max((block.width for block in blocks), default=0.0)
        self.height = sum(block.height for block in blocks) + GAP * max(0, len(blocks) - 1)

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """See `Block`."""
        for number, block in enumerate(self.blocks):
            if number:
                canvas.line((x, y - GAP), (x, y), arrow=True)
            block.draw(canvas, x, y)
            y += block.height + GAP


class SplitBlock(Block):
    """Arms side by side between a fork and a join."""

    HEAD = 26.0
    RAIL = 14.0

    def __init__(self, split: Split) -> None:
        self.split = split
        self.ways = [None if arm.item is None else block_of(arm.item) for arm in split.arms]
        self.widths = [
            max(24.0 if way is None else way.width, self._label_width(arm))
            for arm, way in zip(split.arms, self.ways, strict=True)
        ]
        labelled = any(arm.label for arm in split.arms)
        self.lead = self.RAIL + (34.0 if labelled else 12.0) + 8
        self.inner = max((way.height for way in self.ways if way is not None), default=0.0)
        caption = {"parallel": "all at once", "branch": "every true one", "choose": "the first true one"}
        self.caption = caption[split.kind]
        around = 2 * (text_width(self.caption, SMALL) + 30)
        self.centres, total = _spread(self.widths)
        self.width = max(total, around)
        self.head = 6.0 if split.kind == "parallel" else self.HEAD
        self.foot = 6.0 if split.kind == "parallel" else 0.0
        self.height = self.head + self.lead + self.inner + self.RAIL + 10 + self.foot

    @staticmethod
    def _label_width(arm: Arm) -> float:
        return text_width(arm.label, SMALL, mono=True) + 18 if arm.label else 0.0

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """See `Block`."""
        centres = [x + centre for centre in self.centres]
        top, bottom = y + self.head, y + self.height - self.foot
        parallel = self.split.kind == "parallel"
        if parallel:
            left, right = min(centres[0] - 20, x - 20), max(centres[-1] + 20, x + 20)
            canvas.rect("shapes", "bar", left, y, right - left, 6, 3, f"parallel {self.split.id}")
            canvas.rect("shapes", "bar", left, bottom, right - left, 6, 3)
            canvas.text("caption", x + 9, y - 10, self.caption, anchor="start")
        else:
            half = self.HEAD / 2
            canvas.shape("shapes", "gate", f"M{x},{y}l{half},{half}l{-half},{half}l{-half},{-half}Z")
            canvas.text("caption", x + half + 7, y + half - 5, self.caption, anchor="start")
        for arm, way, centre in zip(self.split.arms, self.ways, centres, strict=True):
            self._way(canvas, arm, way, (x, centre), (top, bottom))

    def _way(
        self,
        canvas: Canvas,
        arm: Arm,
        way: Block | None,
        across: tuple[float, float],
        span: tuple[float, float],
    ) -> None:
        (x, centre), (top, bottom) = across, span
        start, end = top + self.lead, bottom - self.RAIL
        parallel = self.split.kind == "parallel"
        kind = "bypass" if way is None else "line"
        fork = (
            [(centre, top)] if parallel or centre == x else [(x, top), (x, top + self.RAIL), (centre, top + self.RAIL)]
        )
        join = [(centre, bottom)] if parallel or centre == x else [(centre, end), (x, end), (x, bottom)]
        if way is None:
            canvas.line(*fork, *(join if len(fork) == 1 else [(centre, top + self.lead), *join]), kind=kind)
        else:
            canvas.line(*fork, (centre, start), arrow=True)
            way.draw(canvas, centre, start)
            canvas.line((centre, start + way.height), *join)
        if arm.label:
            width = self._label_width(arm)
            middle = top + self.RAIL + 17
            canvas.rect("shapes", "label", centre - width / 2, middle - 9, width, 18, 9)
            canvas.text("condition", centre, middle, arm.label)


class FrameBlock(Block):
    """A titled frame around a sequence. A loop has its condition at the end, and its way back at the right."""

    TITLE = 30.0
    PAD = 16.0
    BACK = 30.0

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        blocks = [block_of(item) for item in frame.items]
        if frame.kind == "loop":
            blocks.append(PillBlock(frame.condition, "test"))
        self.inside = SequenceBlock(blocks)
        # The way back needs room at one side. The same room at the other side keeps the sequence centred.
        gutter = self.BACK if frame.kind == "loop" else 0.0
        self.name = "" if frame.title == frame.id else frame.id
        self.kind_note = {"workflow": "workflow", "chain": "chain"}.get(frame.kind, "")
        title = text_width(frame.title, TEXT) + text_width(self.name or self.kind_note, SMALL) + 22
        self.width = max(self.inside.width + 2 * gutter, title) + 2 * self.PAD
        self.lead = 20.0
        self.height = self.TITLE + self.lead + self.inside.height + self.PAD + 2

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """See `Block`."""
        frame, left = self.frame, x - self.width / 2
        sheet = self.height - (5 if frame.kind == "foreach" else 0)
        canvas.rect("frames", f"frame {frame.kind}", left, y, self.width, sheet, 10)
        if frame.kind == "foreach":  # The edge of a second sheet behind the first: the contents run many times.
            right, bottom = left + self.width, y + self.height
            path = f"M{right + 5},{y + 12}V{bottom - 10}a10,10 0 0,1 -10,10H{left + 12}"
            canvas.shape("lines", "line", path)
        canvas.text("heading", left + 12, y + 15, frame.title, anchor="start")
        aside = self.name or self.kind_note
        if aside:
            canvas.text("note", left + self.width - 12, y + 15, aside, anchor="end")
        start = y + self.TITLE + self.lead
        canvas.shape("shapes", "dot", f"M{x - 3},{start - self.lead}a3,3 0 1,0 6,0a3,3 0 1,0 -6,0Z")
        canvas.line((x, start - self.lead), (x, start), arrow=True)
        self.inside.draw(canvas, x, start)
        end = start + self.inside.height
        canvas.line((x, end), (x, y + sheet))
        if frame.kind == "loop":
            test = self.inside.blocks[-1]
            side = x + self.width / 2 - self.PAD - self.BACK / 2 + 6
            middle = end - test.height / 2
            back = start - self.lead
            canvas.line((x + test.width / 2, middle), (side, middle), (side, back), (x + 4, back), arrow=True)


def _spread(widths: Sequence[float]) -> tuple[list[float], float]:
    """Return the centres of blocks side by side, relative to their common middle, and the total width."""
    total = sum(widths) + BESIDE * (len(widths) - 1)
    left = -total / 2
    centres = []
    for width in widths:
        centres.append(left + width / 2)
        left += width + BESIDE
    # A block that is almost in the middle is moved there: a line with a small kink looks like a mistake.
    nearest = min(centres, key=abs)
    if abs(nearest) < 12:
        return [centre - nearest for centre in centres], total + 2 * abs(nearest)
    return centres, total


def block_of(item: Item) -> Block:
    """Return the block that draws an item."""
    match item:
        case Box():
            return BoxBlock(item)
        case Split():
            return SplitBlock(item)
        case Frame():
            return FrameBlock(item)


def _clock(canvas: Canvas, x: float, y: float) -> None:
    canvas.shape("texts", "icon", f"M{x - 6},{y}a6,6 0 1,0 12,0a6,6 0 1,0 -12,0ZM{x},{y - 3.5}V{y}L{x + 2.5},{y + 2}")


def _envelope(canvas: Canvas, x: float, y: float) -> None:
    canvas.shape("texts", "icon", f"M{x - 6.5},{y - 4.5}h13v9h-13ZM{x - 6.5},{y - 4}L{x},{y + 1}L{x + 6.5},{y - 4}")
