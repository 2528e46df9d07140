"""Plain functions on access logs in combined log format. This module does not import Drawbar."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

TOP = 10
QUOTED = rb'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(
    rb"(?P<host>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "
    + QUOTED.replace(b"(", b"(?P<request>", 1)
    + rb" (?P<status>\d{3}) (?P<size>\d+|-) "
    + QUOTED
    + b" "
    + QUOTED
)


@dataclass
class Chunk:
    """A part of a log: the lines that begin at a byte in [start, end)."""

    log: Path
    start: int
    end: int


@dataclass
class Counts:
    """The counts of one part of a log, or of a whole log."""

    requests: int = 0
    bytes: int = 0
    malformed: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    hours: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    pages: dict[str, int] = field(default_factory=dict)


@dataclass
class Page:
    """A page and its number of requests."""

    path: str
    requests: int


@dataclass
class Summary:
    """The numbers of a whole log. `hours` and `errors` (status 500 and above) are counts by hour."""

    requests: int
    bytes: int
    malformed: int
    statuses: dict[str, int]
    hours: dict[str, int]
    errors: dict[str, int]
    top_pages: list[Page]


def split(log: Path, chunk_mb: float) -> list[Chunk]:
    """Split a log into ranges of bytes, without reading it."""
    count("split")
    size, step = log.stat().st_size, max(1, int(chunk_mb * 1_000_000))
    return [Chunk(log, start, min(start + step, size)) for start in range(0, size, step)]


def count_chunk(chunk: Chunk) -> Counts:
    """Count the requests of one part of the log."""
    count(f"count {chunk.start}")
    statuses, hours, errors, pages = Counter[bytes](), Counter[bytes](), Counter[bytes](), Counter[bytes]()
    requests = size = malformed = 0
    for line in read_lines(chunk):
        found = LINE.match(line)
        if found is None:
            malformed += 1
            continue
        status, hour = found["status"], found["time"][:14]
        requests += 1
        size += 0 if found["size"] == b"-" else int(found["size"])
        statuses[status] += 1
        hours[hour] += 1
        if status >= b"500":
            errors[hour] += 1
        if page := page_of(found["request"]):
            pages[page] += 1
    return Counts(
        requests,
        size,
        malformed,
        {status.decode(): n for status, n in statuses.items()},
        {iso_hour(hour): n for hour, n in hours.items()},
        {iso_hour(hour): n for hour, n in errors.items()},
        {page.decode("utf-8", "replace"): n for page, n in pages.items()},
    )


def read_lines(chunk: Chunk) -> list[bytes]:
    """Read the lines that begin in the chunk. The last one may end after the chunk."""
    with chunk.log.open("rb") as log:
        if chunk.start:
            log.seek(chunk.start - 1)
            log.readline()
        length = chunk.end - log.tell()
        data = log.read(length) if length > 0 else b""
        if data and not data.endswith(b"\n"):
            data += log.readline()
    return data.splitlines()


def page_of(request: bytes) -> bytes:
    """Return the path of a request line without its query, or b"" for an asset or an invalid request."""
    parts = request.split(b" ")
    if len(parts) != 3:
        return b""
    path = parts[1].partition(b"?")[0]
    return b"" if path.startswith(b"/static/") or path == b"/favicon.ico" else path


def iso_hour(hour: bytes) -> str:
    """Return `2025-03-03T14` for `03/Mar/2025:14`: this form can be sorted."""
    return datetime.strptime(hour.decode(), "%d/%b/%Y:%H").strftime("%Y-%m-%dT%H")


def merge(counts: list[Counts]) -> Summary:
    """Add up the counts of all parts."""
    count("merge")
    totals: dict[str, Counter[str]] = {name: Counter() for name in ("statuses", "hours", "errors", "pages")}
    for part in counts:
        for name, total in totals.items():
            total.update(getattr(part, name))
    top = sorted(totals["pages"].items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return Summary(
        requests=sum(part.requests for part in counts),
        bytes=sum(part.bytes for part in counts),
        malformed=sum(part.malformed for part in counts),
        statuses=dict(sorted(totals["statuses"].items())),
        hours=dict(sorted(totals["hours"].items())),
        errors=dict(sorted(totals["errors"].items())),
        top_pages=[Page(path, requests) for path, requests in top],
    )


def draw_chart(summary: Summary, out: Path) -> Path:
    """Draw the requests of each hour as an SVG, the failed ones in red."""
    count("chart")
    return save(out / "requests-per-hour.svg", chart(summary))


def chart(summary: Summary) -> str:
    """Return the SVG: a bar for each hour, a grid with round numbers, and the days below."""
    width, height, left, top, bottom = 1000, 360, 64, 56, 48
    base = height - bottom
    highest = max(summary.hours.values(), default=1)
    tick = nice_step(highest / 5)
    scale = (base - top) / (-(-highest // tick) * tick)
    slot = (width - left - 16) / max(1, len(summary.hours))
    style = 'font-family="sans-serif" font-size="12"'
    failed = f'<tspan fill="#c0392b">{sum(summary.errors.values()):,} failed in the server</tspan>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{left}" y="24" font-size="16" fill="#222">Requests per hour</text>',
        f'<text x="{left}" y="42" fill="#777">{summary.requests:,} requests, of which {failed}</text>',
    ]
    for value in range(0, -(-highest // tick) * tick + 1, tick):
        y = base - value * scale
        parts.append(f'<line x1="{left}" x2="{width - 16}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#777">{value:,}</text>')
    for place, (hour, requests) in enumerate(summary.hours.items()):
        errors = summary.errors.get(hour, 0)
        x, bar = left + place * slot, max(1.0, slot - 2)
        day, clock = hour.split("T")
        parts.append(f'<g class="hour" data-hour="{hour}" data-requests="{requests}" data-errors="{errors}">')
        parts.append(f"<title>{day} {clock}:00: {requests:,} requests, {errors:,} failed</title>")
        parts.append(_bar(x, base - requests * scale, bar, (requests - errors) * scale, "#2a7f9e"))
        if errors:
            parts.append(_bar(x, base - errors * scale, bar, errors * scale, "#c0392b"))
        parts.append("</g>")
        if clock in ("00", "06", "12", "18"):
            parts.append(f'<text x="{x:.1f}" y="{base + 16}" fill="#777">{clock}:00</text>')
        if clock == "00" or place == 0:
            parts.append(f'<text x="{x:.1f}" y="{base + 34}" fill="#222">{day}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def nice_step(rough: float) -> int:
    """Round up to 1, 2 or 5 times a power of ten, for a grid that is easy to read."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= rough:
                return digit * power
        power *= 10


def write_report(summary: Summary, out: Path) -> Path:
    """Write the numbers to a text file."""
    count("report")
    lines = [
        f"{summary.requests:>12,}  requests",
        f"{summary.bytes:>12,}  bytes sent",
        f"{summary.malformed:>12,}  invalid lines",
        "",
        "Status codes",
        *(f"{n:>12,}  {status}" for status, n in summary.statuses.items()),
        "",
        f"Top {len(summary.top_pages)} pages",
        *(f"{page.requests:>12,}  {page.path}" for page in summary.top_pages),
    ]
    return save(out / "report.txt", "\n".join(lines) + "\n")


def save(path: Path, text: str) -> Path:
    """Write a file under a temporary name, then rename it, so that a crash never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)


def count(what: str) -> None:
    """Log the start of a step to the file DRAWBAR_EXAMPLE_COUNTER, then wait DRAWBAR_EXAMPLE_PAUSE seconds.

    This only demonstrates crash recovery: the file shows which steps ran, and the pause leaves time for a kill.
    """
    if counter := os.environ.get("DRAWBAR_EXAMPLE_COUNTER"):
        with Path(counter).open("a", encoding="utf-8") as lines:
            lines.write(f"{what}\n")
    time.sleep(float(os.environ.get("DRAWBAR_EXAMPLE_PAUSE", "0")))
