"""The rows of the queue benchmark."""

from __future__ import annotations

from benchmarks.work import Row

BY_NAME: dict[str, Row] = {
    row.name: row
    for row in (
        Row("chain-100", "chain", 100),
        Row("chain-1000", "chain", 1000),
        Row("group-100", "group", 100),
        Row("group-1000", "group", 1000),
        Row("chains-200x5", "chain", 5, runs=200),
        Row("foreach-10000", "foreach", 10_000, alone=True),
    )
}
