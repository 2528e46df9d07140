"""A workflow as an SVG picture in one file, without other programs."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from drawbar.graph.render.canvas import MONO, SANS, Canvas, clean, text_width
from drawbar.graph.render.layout import PillBlock, SequenceBlock, block_of

if TYPE_CHECKING:
    from drawbar.graph.render.outline import Outline

MARGIN = 20.0
TOP = 34.0

_Palette = dict[str, tuple[str, str] | str]

# Two palettes: fill and line of each class. Programs without media queries show the light one.
_LIGHT: _Palette = {
    "paper": ("#ffffff", "#e2e8f0"),
    "step": ("#dbeafe", "#3b82f6"),
    "map": ("#f1f5f9", "#94a3b8"),
    "sleep": ("#fef3c7", "#f59e0b"),
    "wait": ("#ede9fe", "#8b5cf6"),
    "gate": ("#dcfce7", "#22c55e"),
    "end": ("#f8fafc", "#64748b"),
    "label": ("#ffffff", "#bbf7d0"),
    "text": "#0f172a",
    "soft": "#64748b",
    "line": "#94a3b8",
    "frame": "#94a3b8",
    "bar": "#22c55e",
    "shade": "#64748b",
}
_DARK: _Palette = {
    "paper": ("#0f172a", "#1e293b"),
    "step": ("#172f5c", "#3b82f6"),
    "map": ("#1e293b", "#64748b"),
    "sleep": ("#43310a", "#d97706"),
    "wait": ("#33235f", "#8b5cf6"),
    "gate": ("#123a24", "#22c55e"),
    "end": ("#1e293b", "#94a3b8"),
    "label": ("#0f172a", "#166534"),
    "text": "#e2e8f0",
    "soft": "#94a3b8",
    "line": "#64748b",
    "frame": "#475569",
    "bar": "#22c55e",
    "shade": "#94a3b8",
}


def svg(outline: Outline) -> str:
    """Return the text of an SVG document."""
    blocks = [block_of(item) for item in outline.items]
    whole = SequenceBlock(
        [PillBlock(outline.input or "start", "end"), *blocks, PillBlock(outline.output or "end", "end")]
    )
    width = ceil(max(whole.width, text_width(outline.id, 15) + 8) + 2 * MARGIN)
    height = ceil(whole.height + TOP + 2 * MARGIN)
    canvas = Canvas()
    canvas.text("name", MARGIN, MARGIN + 6, outline.id, anchor="start")
    whole.draw(canvas, width / 2, TOP + MARGIN)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawbar" {size} role="img">\n'
        f"<title>{clean(outline.id)}</title>\n<style>{_style()}</style>\n"
        f'<rect class="paper" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="12"/>\n'
        f"{canvas.render()}\n</svg>\n"
    )


def _style() -> str:
    # Every rule begins with our own class: in a notebook, the style sheet of a picture applies to the whole page.
    fixed = (
        f".drawbar text{{font-family:{SANS};font-size:13px}}"
        f".drawbar .code,.drawbar .condition{{font-family:{MONO};font-size:12px}}"
        ".drawbar .condition,.drawbar .note,.drawbar .caption{font-size:11px}"
        ".drawbar .heading{font-weight:600}.drawbar .name{font-size:15px;font-weight:600}"
        ".drawbar rect,.drawbar path{stroke-width:1.3}"
        ".drawbar .line,.drawbar .bypass,.drawbar .icon{fill:none}"
        ".drawbar .bypass{stroke-dasharray:4 3}.drawbar .frame{fill-opacity:.05;stroke-dasharray:5 3}"
        ".drawbar .workflow,.drawbar .foreach{stroke-dasharray:none}"
    )
    fits = "@media screen{.drawbar{max-width:100%;height:auto}}"
    return fixed + fits + _colours(_LIGHT) + f"@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}"


def _colours(palette: _Palette) -> str:
    rules = []
    for name, colour in palette.items():
        if isinstance(colour, tuple):
            rules.append(f".drawbar .{name}{{fill:{colour[0]};stroke:{colour[1]}}}")
    rules.append(f".drawbar text{{fill:{palette['text']}}}")
    rules.append(f".drawbar .note,.drawbar .caption{{fill:{palette['soft']}}}")
    rules.append(f".drawbar .line,.drawbar .bypass{{stroke:{palette['line']}}}")
    rules.append(f".drawbar .icon{{stroke:{palette['soft']}}}")
    rules.append(f".drawbar .head,.drawbar .dot{{fill:{palette['line']};stroke:none}}")
    rules.append(f".drawbar .frame{{fill:{palette['shade']};stroke:{palette['frame']}}}")
    rules.append(f".drawbar .bar{{fill:{palette['bar']};stroke:none}}")
    return "".join(rules)
