"""A workflow as a tree of plain text, for terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.graph.render.outline import Box, Frame, Item, Outline, Split

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = {"step": "", "map": "map ", "sleep": "", "wait": ""}


def tree(outline: Outline) -> str:
    """Return the tree, one line for each item."""
    types = f"  ({outline.input or 'any'} → {outline.output or 'any'})"
    return "\n".join([outline.id + types, *_children(outline.items, "")]) + "\n"


def _children(items: tuple[Item, ...], indent: str) -> Iterator[str]:
    yield from _grown([("", item) for item in items], indent)


def _grown(entries: list[tuple[str, Item | None]], indent: str) -> Iterator[str]:
    for number, (label, item) in enumerate(entries, 1):
        last = number == len(entries)
        prefix = f"{label}: " if label else ""
        yield f"{indent}{'└─ ' if last else '├─ '}{prefix}{_headline(item)}"
        deeper = indent + ("   " if last else "│  ")
        if isinstance(item, Frame):
            yield from _children(item.items, deeper)
        elif isinstance(item, Split):
            yield from _grown([(arm.label, arm.item) for arm in item.arms], deeper)


def _headline(item: Item | None) -> str:
    match item:
        case None:
            return "(passes by)"
        case Box(kind=kind, title=title, note=note):
            return f"{_MARKS[kind]}{title}" + (f"  [{note}]" if note else "")
        case Split(id=id, kind=kind):
            return f"{kind} ({id})"
        case Frame(id=id, kind="loop", condition=condition):
            return f"do {condition} ({id})"
        case Frame(id=id, kind=kind, title=title):
            return f"{kind} {title}" if title == id else f"{title} ({id})"
