"""The rows of the in-process benchmark, and what Drawbar may take for each."""

from __future__ import annotations

from benchmarks.work import Row

_ROWS = (
    Row("chain-100", "chain", 100, target=20),
    Row("chain-1000", "chain", 1000, target=20),
    Row("fan-out-100", "fan_out", 100, target=40),
    Row("fan-out-1000", "fan_out", 1000, target=40),
    Row("foreach-1000", "foreach", 1000, concurrency=10, target=40),
    Row("loop-100", "loop", 100, target=25),
    Row("runs-200x5", "chain", 5, runs=200),
    Row("durable-100", "durable_chain", 100, target=100),
    Row("scale-100", "foreach", 100, concurrency=10, alone=True),
    Row("scale-1000", "foreach", 1000, concurrency=10, alone=True),
    Row("scale-10000", "foreach", 10_000, concurrency=10, alone=True),
)

BY_NAME: dict[str, Row] = {row.name: row for row in _ROWS}
