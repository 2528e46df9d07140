"""A canvas: pieces of SVG in layers, and estimates of the width of text without a font."""

from __future__ import annotations

from html import escape
from typing import Literal

Layer = Literal["frames", "lines", "shapes", "texts"]

SANS = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

# Shares of the font size, rounded up: a wide box looks better than a text that sticks out.
_NARROW = dict.fromkeys("fijlrt.,:;'|!()[]{}I ", 0.34)
_WIDE = dict.fromkeys("mwMWQOGDHNU@%—", 0.86)
_MONO_SHARE = 0.615


def text_width(text: str, size: float, *, mono: bool = False) -> float:
    """Return an estimate of the width of a text, in the fonts that browsers choose."""
    if mono:
        return sum(2 if ord(char) > 0x2E80 else 1 for char in text) * _MONO_SHARE * size
    return size * sum(1.0 if ord(char) > 0x2E80 else _NARROW.get(char) or _WIDE.get(char) or 0.58 for char in text)


class Canvas:
    """A collector of shapes. Frames lie below lines, lines below boxes, texts on top."""

    def __init__(self) -> None:
        self._layers: dict[Layer, list[str]] = {"frames": [], "lines": [], "shapes": [], "texts": []}

    def render(self) -> str:
        """Return all pieces, from the lowest layer up."""
        return "\n".join(piece for pieces in self._layers.values() for piece in pieces)

    def rect(
        self,
        layer: Layer,
        kind: str,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float,
        hint: str = "",
    ) -> None:
        """Draw a rectangle with round corners; the hint shows on hovering."""
        title = f"<title>{clean(hint)}</title>" if hint else ""
        self._layers[layer].append(
            f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" '
            f'width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}"' + (f">{title}</rect>" if title else "/>")
        )

    def text(self, kind: str, x: float, y: float, text: str, anchor: str = "middle") -> None:
        """Draw a line of text; `y` is its middle."""
        place = f'x="{_n(x)}" y="{_n(y)}" dy=".35em" text-anchor="{anchor}"'
        self._layers["texts"].append(f'<text class="{kind}" {place}>{clean(text)}</text>')

    def shape(self, layer: Layer, kind: str, path: str) -> None:
        """Draw a filled path."""
        self._layers[layer].append(f'<path class="{kind}" d="{path}"/>')

    def line(self, *points: tuple[float, float], arrow: bool = False, kind: str = "line") -> None:
        """Draw straight lines with rounded corners, with an arrowhead at the end if `arrow` is set."""
        head = points[-1]
        if arrow:
            (x0, y0), (x1, y1) = points[-2], points[-1]
            # The line ends inside the head, so that the tip is not blunt.
            reach = 5
            dx, dy = _sign(x1 - x0), _sign(y1 - y0)
            head = (x1 - dx * reach, y1 - dy * reach)
            self._arrowhead(x1, y1, dx, dy)
        path = _rounded([*points[:-1], head], 7)
        self._layers["lines"].append(f'<path class="{kind}" d="{path}"/>')

    def _arrowhead(self, x: float, y: float, dx: int, dy: int) -> None:
        back, side = 7, 3.5
        left = (x - dx * back + dy * side, y - dy * back + dx * side)
        right = (x - dx * back - dy * side, y - dy * back - dx * side)
        self._layers["lines"].append(f'<path class="head" d="M{_p((x, y))}L{_p(left)}L{_p(right)}Z"/>')


def clean(text: str) -> str:
    """Return a text for XML: escaped, and without the control characters that XML forbids."""
    return escape("".join(char for char in text if char in "\t\n" or char >= " "))


def _rounded(points: list[tuple[float, float]], radius: float) -> str:
    path = [f"M{_p(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near = _towards(corner, before, radius)
        far = _towards(corner, after, radius)
        path.append(f"L{_p(near)}Q{_p(corner)} {_p(far)}")
    path.append(f"L{_p(points[-1])}")
    return "".join(path)


def _towards(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(0.5, distance / length) if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _p(point: tuple[float, float]) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    return f"{round(value, 1):g}"
