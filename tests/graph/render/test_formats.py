"""Every format shows all of a graph with everything in it, and is well-formed whatever the names are."""

import json
import re
from xml.etree import ElementTree

import pytest

from drawbar import chain, step, workflow
from drawbar.graph.render import formats as render
from drawbar.graph.render.outline import Box, Frame, Item, Split, items_of
from tests.graph.render.everything import EVERYTHING, make

STEPS = [one.id for one in EVERYTHING.steps]


def boxes(items: tuple[Item, ...]) -> list[Box]:
    found: list[Box] = []
    for item in items:
        match item:
            case Box():
                found.append(item)
            case Split(arms=arms):
                found += boxes(tuple(arm.item for arm in arms if arm.item is not None))
            case Frame(items=inner):
                found += boxes(inner)
    return found


@pytest.mark.parametrize("name", list(render.FORMATS))
def test_every_step_shows(name: str) -> None:
    drawn = render.render(EVERYTHING, name)
    assert len(STEPS) == 17
    assert [one for one in STEPS if one not in drawn] == []
    assert "order-fulfilment" in drawn


@pytest.mark.parametrize("name", list(render.FORMATS))
def test_drawing_twice_gives_the_same(name: str) -> None:
    assert render.render(EVERYTHING, name) == render.render(EVERYTHING, name)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown format 'png'; use one of mermaid, dot, svg, json, text"):
        render.render(EVERYTHING, "png")


def test_templates_are_those_of_the_plan() -> None:
    places = boxes(items_of(EVERYTHING.nodes))
    assert [box.template for box in places if box.template not in EVERYTHING.plan.nodes] == []
    steps = {box.template for box in places if box.kind == "step"}
    assert steps == {node.template for node in EVERYTHING.plan.steps()}


def test_text_is_a_tree() -> None:
    flow = (
        workflow("small", input=int)
        .branch((lambda n: n > 1, make("big")), otherwise=make("little"))
        .choose((lambda done: "big" in done, chain(make("a"), make("b"), id="ab")))
        .wait_for("go", timeout=60)
        .commit()
    )
    assert render.text(flow) == (
        "small  (int → any)\n"
        "├─ branch (branch-1)\n"
        "│  ├─ n > 1: big\n"
        "│  └─ otherwise: little\n"
        "├─ choose (choose-2)\n"
        "│  ├─ 'big' in done: chain ab\n"
        "│  │  ├─ a\n"
        "│  │  └─ b\n"
        "│  └─ otherwise: (passes by)\n"
        "└─ wait for go  [60 s, then fail]\n"
    )


def test_json_has_kinds_policies_and_order() -> None:
    found = json.loads(render.json(EVERYTHING))
    assert (found["id"], found["version"], found["input"], found["output"]) == (
        "order-fulfilment",
        "2",
        "dict",
        "dict",
    )
    kinds = [node["kind"] for node in found["nodes"]]
    assert kinds == [
        "then",
        "map",
        "branch",
        "parallel",
        "map",
        "foreach",
        "do_until",
        "do_while",
        "wait_for",
        "choose",
        "sleep_until",
        "sleep",
        "map",
        "foreach",
        "map",
        "then",
    ]
    branch = found["nodes"][2]
    assert branch["arms"][0]["condition"] == "order['total'] > 1000"
    assert branch["arms"][0]["body"]["retry"]["max_attempts"] == 3
    assert [inner["body"]["queue"] for inner in branch["arms"][1]["body"]["nodes"]] == [None, "slow"]
    assert branch["otherwise"] is None
    assert found["nodes"][5]["concurrency"] == 4
    assert found["nodes"][8] == {
        "id": found["nodes"][8]["id"],
        "kind": "wait_for",
        "event": "picked_up",
        "timeout": 172800,
        "has_default": True,
    }


def test_every_mermaid_arrow_joins_nodes_that_are_declared() -> None:
    lines = render.mermaid(EVERYTHING).splitlines()
    assert lines[:4] == ["---", 'title: "order-fulfilment"', "---", "flowchart TD"]
    declared = {found[1] for line in lines if (found := re.match(r"\s+(n\d+)\W", line)) and "-->" not in line}
    arrows = [found.groups() for line in lines if (found := re.match(r'\s+(n\d+) -->(?:\|".*"\|)? (n\d+)$', line))]
    assert len(arrows) == sum("-->" in line for line in lines)
    assert {end for arrow in arrows for end in arrow} == declared
    assert sum(line.strip().startswith("subgraph") for line in lines) == sum(line.strip() == "end" for line in lines)


def test_every_dot_arrow_joins_nodes_that_are_declared() -> None:
    text = render.dot(EVERYTHING)
    declared = set(re.findall(r"^\s+(n\d+) \[(?=label=.* shape=)", text, re.MULTILINE))
    arrows = re.findall(r"^\s+(n\d+) -> (n\d+)", text, re.MULTILINE)
    assert {end for arrow in arrows for end in arrow} == declared
    outside = re.sub(r'"(\\.|[^"\\])*"', "", text)
    assert outside.count("{") == outside.count("}")


@pytest.mark.parametrize("hostile", ['" --> x; end', "<script>&amp;</script>", "a\\nb `c` #1;", "ctrl\x07 \u2028 漢字"])
def test_texts_of_the_users_cannot_break_a_format(hostile: str) -> None:
    flow = (
        workflow("hostile", input=str)
        .wait_for(hostile)
        .then(step(make("plain"), queue=hostile))
        .map({hostile: 1})
        .commit()
    )
    ElementTree.fromstring(render.svg(flow))
    json.loads(render.json(flow))
    for line in render.mermaid(flow).splitlines()[4:]:
        assert line.count('"') in (0, 2)
        assert "<script" not in line
    for line in render.dot(flow).splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0
    assert "\x07" not in render.svg(flow)


def test_notebooks_get_the_picture() -> None:
    assert EVERYTHING._repr_svg_() == render.svg(EVERYTHING)
