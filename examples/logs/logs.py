"""Count an access log in parts, several at a time, and write the totals as a chart and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from access_log import Page, count_chunk, draw_chart, merge, split, write_report
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drawbar import output_of, run_input, step, value_at, workflow

FromHere = Annotated[Path, AfterValidator(Path.absolute)]
"""A path, made absolute when the run is started: a worker may run in another folder."""


class Log(BaseModel):
    """The log, the size of its parts in megabytes, and the folder of the results."""

    model_config = ConfigDict(validate_default=True)

    log: FromHere = Path("out/access.log")
    chunk_mb: float = Field(default=2, gt=0)
    out: FromHere = Path("out")


class Analysis(BaseModel):
    """The most important numbers, and the files with all of them."""

    requests: int
    statuses: dict[str, int]
    top_pages: list[Page]
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
    .map(
        {
            "requests": output_of(merged, "requests"),
            "statuses": output_of(merged, "statuses"),
            "top_pages": output_of(merged, "top_pages"),
            "chart": value_at("chart"),
            "report": value_at("report"),
        }
    )
    .commit()
)
