"""The logs example: counting in parts and in processes gives the same numbers as one plain loop."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from logs import logs
from make_log import make_log

from tests.examples.conftest import Command, in_process

SVG = "{http://www.w3.org/2000/svg}"


def plain_count(log: Path) -> dict[str, Any]:
    """Count by splitting at quotes, in one simple loop that shares no code with the example."""
    statuses, hours, pages = Counter[str](), Counter[str](), Counter[str]()
    size = 0
    with log.open(encoding="ascii") as lines:
        for line in lines:
            parts = line.split('"')
            if len(parts) < 3:
                continue
            status, length = parts[2].split()
            size += 0 if length == "-" else int(length)
            statuses[status] += 1
            hours[line[line.index("[") + 1 :][:14]] += 1
            if len(words := parts[1].split()) == 3:
                path = words[1].split("?")[0]
                if not path.startswith("/static/") and path != "/favicon.ico":
                    pages[path] += 1
    top = sorted(pages.items(), key=lambda item: (-item[1], item[0]))[:10]
    return {"bytes": size, "statuses": statuses, "hours": list(hours.values()), "top": top}


def check_results(summary: dict[str, Any], out: Path, log: Path) -> None:
    """Compare the numbers with a plain count, and the files with the numbers."""
    plain = plain_count(log)
    assert summary["statuses"] == plain["statuses"]
    assert summary["bytes"] == plain["bytes"]
    assert [(page["path"], page["requests"]) for page in summary["top_pages"]] == plain["top"]

    bars = ET.parse(out / "requests-per-hour.svg").getroot().findall(f"{SVG}g[@class='hour']")
    assert [int(bar.attrib["data-requests"]) for bar in bars] == plain["hours"]
    failed = sum(count for status, count in plain["statuses"].items() if status >= "500")
    assert sum(int(bar.attrib["data-errors"]) for bar in bars) == failed > 0
    report = (out / "report.txt").read_text()
    assert f"{sum(plain['statuses'].values()):,}  requests" in report
    assert f"{plain['bytes']:,}  bytes sent" in report


def test_the_command_counts_a_whole_log(examples: Path, command: Command, tmp_path: Path) -> None:
    expected = make_log(tmp_path / "access.log")
    assert (tmp_path / "access.log").stat().st_size > 30_000_000

    done = command(
        "run", f"{examples}/logs/logs.py:logs", "--json", "--input", "log=access.log", "--input", "out=out"
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    summary = result["steps"]["merge"]["output"]
    assert summary == json.loads(expected.read_text())
    assert result["output"]["top_pages"] == summary["top_pages"]
    check_results(summary, tmp_path / "out", tmp_path / "access.log")


@in_process
@pytest.mark.parametrize("chunk_mb", [0.1, 50])
def test_the_size_of_the_parts_changes_nothing(tmp_path: Path, chunk_mb: float) -> None:
    log = tmp_path / "access.log"
    make_log(log, 2)

    result = logs.run_sync(
        {"log": log, "chunk_mb": chunk_mb, "out": tmp_path}, engine="local", store="memory://"
    )

    analysis = result.unwrap()
    check_results(asdict(result.steps["merge"].output), tmp_path, log)
    assert analysis.chart == tmp_path / "requests-per-hour.svg"
    parts = [address for address in result.steps if address.startswith("count_chunk[")]
    assert len(parts) == (20 if chunk_mb == 0.1 else 1)
