"""Count an access log in parts, several at a time, and show the sum as a chart and as a report."""

from __future__ import annotations

from pathlib import Path

from access_log import Summary, count_chunk, draw_chart, merge, split, write_report
from pydantic import BaseModel, Field

from drawbar import output_of, run_input, step, value_at, workflow


class Log(BaseModel):
    """Which log, how large a part of it is, and where the results go."""

    log: Path = Path("out/access.log")
    chunk_mb: float = Field(default=2, gt=0)
    out: Path = Path("out")


class Analysis(BaseModel):
    """The numbers, and the files that show them."""

    summary: Summary
    chart: Path
    report: Path


merged = step(merge)

logs = (
    workflow("logs", input=Log, output=Analysis)
    .then(split)
    .foreach(step(count_chunk, run_in="process"), concurrency=4)
    .then(merged)
    .map({"summary": value_at(), "out": run_input("out")})
    .parallel(chart=draw_chart, report=write_report)
    .map({"summary": output_of(merged), "chart": value_at("chart"), "report": value_at("report")})
    .commit()
)
