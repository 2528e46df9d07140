"""An address names a place in a plan, and a place has one address."""

from typing import Any

import pytest

from drawbar import Workflow, chain, step, workflow
from drawbar.plan import Node, Op, Plan


@step
async def load(x: int) -> int:
    return x


@step
async def resize(x: int) -> int:
    return x


def plan_of(made: Workflow[int, int]) -> Plan:
    return made.plan


inner = workflow("inner").then(load).foreach(resize).commit()  # type: ignore[arg-type]
flow = (
    workflow("flow")
    .then(load)
    .map(lambda x: [x])
    .foreach(chain(load, resize, id="thumbs"))
    .do_until(inner, lambda x: True)
    .sleep(1)
    .commit()
)


@pytest.mark.parametrize(
    ("address", "op", "numbers"),
    [
        ("load", Op.STEP, ()),
        ("map-2", Op.MAP, ()),
        ("thumbs", Op.FOREACH, ()),
        ("thumbs[17]", Op.SCOPE, (17,)),
        ("thumbs[3].resize", Op.STEP, (3,)),
        ("inner#2.load", Op.STEP, (2,)),
        ("inner#2.resize[9]", Op.STEP, (2, 9)),
        ("inner#2.resize", Op.FOREACH, (2,)),
        ("sleep-5", Op.SLEEP, ()),
        ("$output", Op.CHECK, ()),
    ],
)
def test_an_address_names_a_node_and_its_numbers(address: str, op: Op, numbers: tuple[int, ...]) -> None:
    place = flow.plan.locate(address)
    assert place is not None
    assert (place[0].op, place[1]) == (op, numbers)
    assert place[0].address(numbers) == address


NOWHERE = ["", "nothing", "load[1]", "thumbs[].resize", "thumbs.resize", "inner.load", "load#1"]


@pytest.mark.parametrize("address", NOWHERE)
def test_a_text_that_is_not_an_address_names_no_place(address: str) -> None:
    assert flow.plan.locate(address) is None


def test_the_task_of_entering_a_node_is_at_the_node() -> None:
    node = flow.plan.nodes["map-2"]
    assert node.entry(()) == "map-2.$enter"
    assert flow.plan.locate("map-2.$enter") == (node, ())


def test_iteration_and_index_are_the_innermost_ones() -> None:
    node = flow.plan.nodes["inner#.resize[]"]
    assert node.iteration((2, 9)) == 2
    assert node.index((2, 9)) == 9
    assert flow.plan.nodes["load"].iteration(()) is None


def test_an_id_means_the_nearest_node_going_outwards() -> None:
    plan = flow.plan
    assert plan.visible(plan.nodes["thumbs[].resize"], "load") is plan.nodes["thumbs[].load"]
    assert plan.visible(plan.nodes["sleep-5"], "load") is plan.nodes["load"]
    assert plan.visible(plan.nodes["sleep-5"], "nobody") is None


def before(made: Workflow[Any, Any], start: str) -> set[str]:
    plan = made.plan
    stands = plan.before(plan.nodes[start])
    return {node.template for node in plan.steps() if stands(node)}


def test_a_fork_keeps_what_cannot_run_after_its_step() -> None:
    assert before(flow, "thumbs[].resize") == {"load", "thumbs[].load"}


def test_a_fork_inside_a_loop_starts_the_loop_over() -> None:
    assert before(flow, "inner#.resize[]") == {"load", "thumbs[].load", "thumbs[].resize"}


def test_a_fork_keeps_the_other_arms_of_a_parallel() -> None:
    both = workflow("both").parallel(load, resize).map(lambda done: done["load"]).then(load.with_id("last")).commit()
    assert before(both, "resize") == {"load"}


def test_nodes_know_the_nodes_around_them() -> None:
    node: Node = flow.plan.nodes["inner#.resize[]"]
    assert [up.template for up in node.parents()] == ["inner#.resize", "inner#", "inner"]
