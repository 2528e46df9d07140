"""The plain functions of the logs example, without Drawbar."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from access_log import (
    Chunk,
    Counts,
    Page,
    Summary,
    chart,
    count_chunk,
    merge,
    nice_step,
    page_of,
    read_lines,
    split,
    write_report,
)
from make_log import make_log

SUMMARY = Summary(
    requests=1500,
    bytes=2_000_000,
    malformed=1,
    statuses={"200": 1400, "502": 100},
    hours={"2025-03-03T00": 500, "2025-03-03T01": 1000},
    errors={"2025-03-03T01": 100},
    top_pages=[Page("/", 900), Page("/cart", 600)],
)


def test_the_same_seed_writes_the_same_log(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a.log", 3), ("b.log", 3), ("c.log", 4)):
        make_log(tmp_path / name, 1, seed)
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())

    assert digests[0] == digests[1] != digests[2]
    assert 0.9e6 < (tmp_path / "a.log").stat().st_size < 1.1e6


@pytest.mark.parametrize("size", [1, 7, 10, 11, 64, 1000])
def test_every_line_is_read_once_for_every_size_of_parts(tmp_path: Path, size: int) -> None:
    log = tmp_path / "small.log"
    lines = [b"x" * length for length in (0, 9, 10, 1, 30, 0, 5)]
    log.write_bytes(b"\n".join(lines))  # the last line without its end, as in a log that is being written

    total = log.stat().st_size
    chunks = [Chunk(log, start, min(start + size, total)) for start in range(0, total, size)]

    assert [line for chunk in chunks for line in read_lines(chunk)] == lines


def test_the_parts_cover_the_log_without_gaps(tmp_path: Path) -> None:
    log = tmp_path / "small.log"
    log.write_bytes(b"line\n" * 1000)

    chunks = split(log, 0.0013)

    assert [chunk.start for chunk in chunks] == [0, 1300, 2600, 3900]
    assert [chunk.end for chunk in chunks] == [1300, 2600, 3900, 5000]


def test_a_log_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        split(tmp_path / "none.log", 1)


def test_the_totals_are_those_that_the_generator_counted(tmp_path: Path) -> None:
    expected = make_log(tmp_path / "access.log", 2)

    summary = merge([count_chunk(chunk) for chunk in split(tmp_path / "access.log", 0.3)])

    assert asdict(summary) == json.loads(expected.read_text())
    assert summary.malformed > 0
    assert summary.errors


def test_counts_one_line_of_each_sort(tmp_path: Path) -> None:
    log = tmp_path / "small.log"
    log.write_text(
        '1.2.3.4 - - [03/Mar/2025:14:00:01 +0000] "GET /a?x=1 HTTP/1.1" 200 10 "-" "curl"\n'
        '::1 - ada [03/Mar/2025:14:59:59 +0000] "GET /static/a.css HTTP/2" 304 - "-" "says \\"hi\\""\n'
        '1.2.3.4 - - [03/Mar/2025:15:00:00 +0000] "POST /a HTTP/1.1" 503 5 "-" "-"\n'
        '1.2.3.4 - - [03/Mar/2025:15:00:00 +0000] "\\x16\\x03" 400 2 "-" "-"\n'
        "cut off\n"
    )

    assert count_chunk(Chunk(log, 0, log.stat().st_size)) == Counts(
        requests=4,
        bytes=17,
        malformed=1,
        statuses={"200": 1, "304": 1, "503": 1, "400": 1},
        hours={"2025-03-03T14": 2, "2025-03-03T15": 2},
        errors={"2025-03-03T15": 1},
        pages={"/a": 2},
    )


def test_the_parts_add_up() -> None:
    parts = [
        Counts(2, 10, 0, {"200": 2}, {"2025-03-03T01": 2}, {}, {"/b": 1, "/a": 1}),
        Counts(1, 5, 1, {"500": 1}, {"2025-03-03T00": 1}, {"2025-03-03T00": 1}, {"/c": 1}),
    ]

    summary = merge(parts)

    assert (summary.requests, summary.bytes, summary.malformed) == (3, 15, 1)
    assert list(summary.hours) == ["2025-03-03T00", "2025-03-03T01"]
    assert [page.path for page in summary.top_pages] == ["/a", "/b", "/c"]
    assert merge([]).requests == 0


def test_the_chart_is_an_svg_with_a_bar_for_every_hour() -> None:
    root = ET.fromstring(chart(SUMMARY))

    svg = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{svg}svg"
    hours = root.findall(f"{svg}g[@class='hour']")
    assert [int(hour.attrib["data-requests"]) for hour in hours] == [500, 1000]
    heights = [[float(bar.attrib["height"]) for bar in hour.findall(f"{svg}rect")] for hour in hours]
    assert len(heights[0]) == 1  # nothing failed, nothing red
    assert sum(heights[1]) == pytest.approx(2 * heights[0][0], abs=0.2)
    assert heights[1][1] == pytest.approx(sum(heights[1]) / 10, abs=0.2)
    titles = [hour.findtext(f"{svg}title") for hour in hours]
    assert titles[1] == "2025-03-03 01:00: 1,000 requests, 100 failed"


def test_the_report_lists_the_numbers(tmp_path: Path) -> None:
    lines = write_report(SUMMARY, tmp_path).read_text().splitlines()

    assert "       1,500  requests" in lines
    assert "         100  502" in lines
    assert lines[-1] == "         600  /cart"


@pytest.mark.parametrize(("rough", "step"), [(0.3, 1), (1.5, 2), (3, 5), (7, 10), (843, 1000), (1001, 2000)])
def test_the_grid_has_round_steps(rough: float, step: int) -> None:
    assert nice_step(rough) == step


def test_assets_and_invalid_requests_are_not_pages() -> None:
    assert page_of(b"GET /blog/a?page=2 HTTP/1.1") == b"/blog/a"
    assert page_of(b"GET /static/site.css HTTP/1.1") == b""
    assert page_of(rb"\x16\x03\x01") == b""
