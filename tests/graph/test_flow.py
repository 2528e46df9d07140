"""The results of the check: the shape of the value at every node, and the target of each reference."""

from typing import Annotated, Any

import pytest

from drawbar import Builder, chain, output_of, step, value_at, workflow
from drawbar.values.shape import AnyShape, Fields, Items, Likely, OneOf, Shape, Typed
from tests.graph.sample_steps import (
    Receipt,
    Signup,
    User,
    always,
    fetch,
    increment,
    numbers,
    plain,
    send,
    sign,
    total,
    untyped,
    watch,
)

ANY = AnyShape()
INT = Typed(int)


def shapes(builder: Builder[Any, Any, Any]) -> dict[str, Shape]:
    return dict(builder.commit().flow.shapes)


def targets(builder: Builder[Any, Any, Any]) -> dict[tuple[str, str], str]:
    return {(holder, str(ref)): target for (holder, ref), target in builder.commit().flow.targets.items()}


def user_of(value: Any) -> User: ...  # type: ignore[empty-body]


def test_the_value_has_the_type_of_the_step_before() -> None:
    flow = workflow("flow", input=Signup).then(fetch).sleep(1).then(send).map(user_of)

    assert shapes(flow) == {
        "fetch": Typed(Signup),
        "sleep-2": Typed(User),
        "mail": Typed(User),
        "map-4": Typed(Receipt),
        "$output": Typed(User, exact=False),
    }


def test_arms_get_the_value_and_give_a_dict() -> None:
    flow = workflow("flow", input=Signup).parallel(fetch, c=chain(fetch, sign)).map(always)

    assert shapes(flow) == {
        "parallel-1": Typed(Signup),
        "fetch": Typed(Signup),
        "c": Typed(Signup),
        "c.fetch": Typed(Signup),
        "c.sign": Typed(User),
        "map-2": Fields({"fetch": Typed(User), "c": Typed(str)}),
        "$output": Typed(bool, exact=False),
    }


def test_arms_of_a_branch_may_be_absent() -> None:
    found = shapes(workflow("flow", input=int).branch((always, increment), otherwise=plain))

    assert found["$output"] == Fields({"increment": INT, "plain": INT}, frozenset({"increment", "plain"}))


@pytest.mark.parametrize(
    ("flow", "out"),
    [
        (
            workflow("flow", input=Signup).choose((always, fetch), otherwise=step(plain, input=dict)),
            Typed(User | int),
        ),
        (workflow("flow", input=int).choose((always, increment)), INT),
        (workflow("flow", input=int).choose((always, numbers)), Typed(list[int] | int)),
        (workflow("flow", input=int).choose((always, untyped)), ANY),
        (
            workflow("flow", input=int).choose((always, chain(workflow("w").parallel(plain).commit()))),
            OneOf((Fields({"plain": INT}), INT)),
        ),
    ],
)
def test_a_choice_gives_one_of_several(flow: Any, out: Shape) -> None:
    assert shapes(flow)["$output"] == out


def test_a_loop_gets_its_own_output_too() -> None:
    @step
    def refine(draft: str | User) -> User: ...  # type: ignore[empty-body]

    found = shapes(workflow("flow", input=str).do_until(refine, always))

    assert found == {
        "refine": Typed(str),
        "refine#": Typed(str | User),
        "refine#.$again": Typed(User),
        "$output": Typed(User),
    }


def test_the_body_of_a_loop_may_be_a_chain() -> None:
    found = shapes(workflow("flow", input=int).do_while(chain(increment, plain, id="body"), always))

    assert found == {
        "body": INT,
        "body#": INT,
        "body#.increment": INT,
        "body#.plain": INT,
        "body#.$again": INT,
        "$output": INT,
    }


def test_foreach_gets_the_items_and_returns_a_list() -> None:
    flow = workflow("flow", input=list[Signup]).foreach(fetch).foreach(chain(sign, id="each"))

    assert shapes(flow) == {
        "fetch": Typed(list[Signup]),
        "fetch[]": Typed(Signup),
        "each": Items(Typed(User)),
        "each[]": Typed(User),
        "each[].sign": Typed(User),
        "$output": Items(Typed(str)),
    }


def test_a_nested_workflow_sees_its_input_type_and_gives_its_output_type() -> None:
    inner = workflow("inner", input=Signup, output=dict[str, str]).then(fetch).commit()

    assert shapes(workflow("flow").then(inner)) == {
        "inner": ANY,
        "inner.fetch": Typed(Signup),
        "$output": Typed(dict[str, str]),
    }


def test_a_map_of_a_dict_knows_its_fields() -> None:
    flow = (
        workflow("flow", input=Signup)
        .then(fetch)
        .map({"name": output_of(fetch, "name"), "whole": value_at(), "n": 3, "list": [1], "deep": {"x": None}})
    )

    assert shapes(flow)["$output"] == Fields(
        {
            "name": Typed(str),
            "whole": Typed(User),
            "n": INT,
            "list": Items(ANY),
            "deep": Fields({"x": ANY}),
        }
    )


@pytest.mark.parametrize("mapper", [lambda value: value, untyped.fn, str.upper, sum])
def test_a_mapper_without_annotation_gives_anything(mapper: Any) -> None:
    assert shapes(workflow("flow").map(mapper))["$output"] == ANY


def test_a_mapper_whose_annotation_has_no_json_form_gives_anything() -> None:
    def odd(value: Any) -> Builder[Any, Any]: ...  # type: ignore[empty-body]

    assert shapes(workflow("flow").map(odd))["$output"] == ANY


def test_an_event_has_its_type() -> None:
    flow = workflow("flow")

    assert shapes(flow.wait_for("e", type=User))["$output"] == Typed(User)
    assert shapes(flow.wait_for("e", type=User, timeout=1, default=None))["$output"] == Typed(User | None)
    assert shapes(flow.wait_for("e", type=User, timeout=1, default="late"))["$output"] == ANY
    assert shapes(flow.wait_for("e", type=int, timeout=1, default=3))["$output"] == INT


def test_a_step_with_a_context_can_bail_with_any_value() -> None:
    assert shapes(workflow("flow", input=int).then(watch))["$output"] == Likely(INT)


@step
def later(x: Annotated[Any, output_of("fetch")], y: Annotated[Any, output_of("fetch", "name")] = None) -> int:
    return len([x, y])


def test_a_reference_means_a_node() -> None:
    assert targets(workflow("flow").then(fetch).then(later)) == {
        ("later", "output_of('fetch')"): "fetch",
        ("later", "output_of('fetch', 'name')"): "fetch",
    }


@pytest.mark.parametrize(
    ("flow", "holder", "target"),
    [
        (workflow("f").then(fetch).foreach(later), "later[]", "fetch"),  # type: ignore[arg-type]
        (workflow("f").then(fetch).do_until(later, always), "later#", "fetch"),
        (workflow("f").then(fetch).parallel(later), "later", "fetch"),
        (workflow("f").foreach(chain(fetch, later, id="c")), "c[].later", "c[].fetch"),
        (workflow("f").do_until(chain(fetch, later, id="c"), always), "c#.later", "c#.fetch"),
        (workflow("f").then(fetch).foreach(chain(later, id="c")), "c[].later", "fetch"),
        (workflow("f").then(chain(fetch, id="c")).map(always).then(later), "later", "c.fetch"),
        (workflow("f").do_until(chain(fetch, id="c"), always).map(always).then(later), "later", "c#.fetch"),
        (workflow("f").do_until(fetch, always).map(always).then(later), "later", "fetch"),
        (
            workflow("f").then(fetch).map({"user_id": "a"}).then(chain(fetch, later, id="c")),
            "c.later",
            "c.fetch",
        ),
        (workflow("f").then(workflow("w").then(fetch).then(later).commit()), "w.later", "w.fetch"),
        (workflow("f").then(fetch).map(always).then(step(plain, id="s", fallback=later)), "s", "fetch"),
        (workflow("f").then(fetch).map({"a": output_of("fetch")}), "map-2", "fetch"),
        (workflow("f").map({"user_id": "a"}, id="fetch").map({"a": output_of("fetch")}), "map-2", "fetch"),
    ],
)
def test_a_reference_means_the_nearest_that_has_run(flow: Any, holder: str, target: str) -> None:
    assert targets(flow)[holder, "output_of('fetch')"] == target


def test_a_list_is_summed() -> None:
    assert shapes(workflow("flow", input=int).then(numbers).then(total))["$output"] == INT
