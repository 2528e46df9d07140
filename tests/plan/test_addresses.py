"""An address names a place in a plan, and a place has one address."""

from typing import Any

import pytest

from drawbar import Workflow, chain, step, workflow
from drawbar.plan import Node, Op, Plan, record_of


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


def after(made: Workflow[Any, Any], place: str, *others: str) -> list[str]:
    """Return those of the other places that stand after a place."""
    found = made.plan.locate(place)
    assert found is not None
    is_after = made.plan.after(*found)
    located = {other: made.plan.locate(other) for other in others}
    return [other for other, at in located.items() if at is not None and is_after(*at)]


def test_after_a_place_stands_what_needs_its_output() -> None:
    places = ("load", "thumbs[1].load", "thumbs[1].resize", "thumbs[2].resize", "thumbs", "inner#1.resize[0]")
    assert after(flow, "thumbs[1].load", *places) == ["thumbs[1].resize", "inner#1.resize[0]"]
    assert after(flow, "load", *places) == list(places[1:])


def test_after_an_iteration_stand_the_later_ones() -> None:
    places = ("inner#1.resize[1]", "inner#2.resize[0]", "inner#2.resize[1]", "inner#3.resize[0]", "sleep-5")
    assert after(flow, "inner#2.resize[0]", *places) == ["inner#3.resize[0]", "sleep-5"]


def test_the_arms_beside_a_place_do_not_stand_after_it() -> None:
    both = workflow("both").parallel(load, resize).map(lambda done: done["load"]).then(load.with_id("last")).commit()
    assert after(both, "resize", "load", "last", "resize") == ["last"]


@pytest.mark.parametrize(
    ("address", "record"),
    [
        ("a[1].b", ("a[1].b", "", "")),
        ("a[1].b.$state.12", ("a[1].b", "state", "12")),
        ("a#2.b.$bail", ("a#2.b", "bail", "")),
        ("a.parallel-1.$slot.one-b", ("a.parallel-1", "slot", "one-b")),
        ("a.$slots", ("a", "slots", "")),
        ("poll.$count", ("poll", "count", "")),
        ("a.$output.$enter", ("a.$output.$enter", "", "")),
    ],
)
def test_a_record_names_its_node(address: str, record: tuple[str, str, str]) -> None:
    assert record_of(address) == record


def test_nodes_know_the_nodes_around_them() -> None:
    node: Node = flow.plan.nodes["inner#.resize[]"]
    assert [up.template for up in node.parents()] == ["inner#.resize", "inner#", "inner"]
