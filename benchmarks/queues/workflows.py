"""The workflows that Drawbar's workers load."""

from __future__ import annotations

from typing import Any

from benchmarks.queues.rows import BY_NAME
from benchmarks.work import Row
from drawbar import Workflow, step, workflow


@step
def increment(value: int) -> int:
    return value + 1


@step
def total(values: list[int]) -> int:
    return sum(values)


def build(row: Row) -> Workflow[Any, Any]:
    match row.shape:
        case "chain":
            number = workflow(row.name, input=int, output=int)
            for place in range(row.size):
                number = number.then(increment.with_id(f"s{place}"))
            return number.commit()
        case "group":
            return workflow(row.name, input=list[int], output=int).foreach(increment).then(total).commit()
        case "foreach":
            return workflow(row.name, input=list[int], output=list[int]).foreach(increment).commit()
    raise ValueError(f"no workflow for {row.shape}")


chain_100 = build(BY_NAME["chain-100"])
chain_1000 = build(BY_NAME["chain-1000"])
group_100 = build(BY_NAME["group-100"])
group_1000 = build(BY_NAME["group-1000"])
chains_200x5 = build(BY_NAME["chains-200x5"])
foreach_10000 = build(BY_NAME["foreach-10000"])

BY_ROW: dict[str, Workflow[Any, Any]] = {
    flow.id: flow for flow in (chain_100, chain_1000, group_100, group_1000, chains_200x5, foreach_10000)
}
