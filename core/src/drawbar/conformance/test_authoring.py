"""AUTH: writing workflows. BIND: binding a value to a step's parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from drawbar import GraphError, RunStatus, output_of, step, workflow
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import authoring as flows

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


class Name(BaseModel):
    """A name."""

    name: str


@step
async def named(name: str) -> Name:
    """Make a name."""
    return Name(name=name)


@step
async def aged(name: str, age: int) -> str:
    """Take more fields than a name has."""
    return f"{name} {age}"


@clause("AUTH-01")
def test_a_step_is_a_function() -> None:
    """A step stays a plain function: calling it calls the function."""
    assert flows.halve(9) == 4
    assert step(flows.halve)(9) == 4
    assert flows.plain.greet(" Ada ") == "Hello, Ada!"


@clause("AUTH-02")
def test_builders_are_immutable() -> None:
    """Every call of the builder returns a new builder, and leaves the old one as it was."""
    start = workflow("start").then(named)
    one = start.map(lambda name: name.name).commit()
    two = start.then(named.with_id("other")).map(lambda name: [name.name]).commit()

    assert [len(start.nodes), len(one.nodes), len(two.nodes)] == [1, 2, 3]


@clause("AUTH-03")
def test_empty() -> None:
    """`commit` refuses an empty workflow."""
    with pytest.raises(GraphError):
        workflow("empty").commit()


@clause("AUTH-04")
def test_duplicate_ids() -> None:
    """`commit` refuses two nodes with the same id, and names the id."""
    with pytest.raises(GraphError, match="named"):
        workflow("doubled").then(named).then(named).commit()
    with pytest.raises(GraphError, match="named"):
        workflow("doubled").parallel(named, named).commit()


@clause("AUTH-05")
def test_lacking_fields() -> None:
    """`commit` refuses a step that needs fields which the value before it provably lacks, and names the
    step."""
    with pytest.raises(GraphError, match="aged"):
        workflow("lacking").then(named).then(aged).commit()


@clause("AUTH-06")
def test_outputs_that_may_not_be_there() -> None:
    """`commit` refuses an `output_of` a step that has not run before it on every path."""
    with pytest.raises(GraphError):
        workflow("unknown").then(named).map({"x": output_of("missing")}).commit()
    with pytest.raises(GraphError):
        workflow("later").map({"name": output_of("named")}).then(named).commit()
    maybe = workflow("maybe").choose((bool, named))
    with pytest.raises(GraphError):
        maybe.map({"x": output_of("named")}).commit()


@clause("AUTH-07")
def test_outputs_that_cannot_fit() -> None:
    """`commit` refuses a workflow whose last value cannot satisfy its output type."""
    with pytest.raises(GraphError):
        workflow("wrong", output=int).then(named).commit()  # type: ignore[arg-type]


@clause("AUTH-08")
async def test_with_id(rig: Rig) -> None:
    """A step is used twice by giving it another id with `with_id`."""
    result = await rig.run(flows.same_twice, 1)

    assert result.output == 3
    assert list(result.steps) == ["add_one", "once_more"]


@clause("AUTH-09")
async def test_directive(rig: Rig) -> None:
    """`load_steps` makes a step of each function of a module whose docstring starts with `use step`, and of no other
    function."""
    assert await rig.completed(flows.directive, "Grace") == "HELLO, GRACE!"
    assert not hasattr(flows.plain, "_tidy")
    with pytest.raises(AttributeError):
        flows.plain.step  # noqa: B018 - that it is not there is the point


@clause("AUTH-10")
def test_default_ids() -> None:
    """A node without a name gets an id from its kind and its place, and `id=` gives it another."""
    made = workflow("unnamed").map(len).sleep(1).sleep(1, id="rest").commit()

    assert [node.id for node in made.nodes] == ["map-1", "sleep-2", "rest"]


@clause("AUTH-11")
async def test_anything_as_a_step(rig: Rig) -> None:
    """A plain function, a committed workflow or a chain may stand wherever a step may stand."""
    # 4 → 12 → 36 → 18 → 54 + 1 → halved 27, through `inner` 166, tripled 165 → each through `inner`.
    assert await rig.completed(flows.anything, 4) == [82, 499, 496]


@clause("AUTH-12")
def test_fingerprints() -> None:
    """A workflow has the same fingerprint and the same addresses in every process."""
    module = flows.__name__
    program = f"from {module} import anything as a; print(a.plan.fingerprint, *a.plan.nodes)"
    seen = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout.strip())

    assert seen == {" ".join([flows.anything.plan.fingerprint, *flows.anything.plan.nodes])}


@clause("BIND-01")
async def test_spread(rig: Rig) -> None:
    """A mapping or model is spread over several parameters by name."""
    assert await rig.completed(flows.spread, {"name": "Ada", "age": 36}) == "Ada is 36"


@clause("BIND-02")
async def test_taken_whole(rig: Rig) -> None:
    """A single parameter that can itself hold a mapping takes the value whole, in the type it is annotated
    with."""
    assert await rig.completed(flows.taken_whole, {"name": "Ada"}) == "Person Ada is 30"
    assert await rig.completed(flows.taken_as_dict, {"b": 1, "a": {}}) == ["a", "b"]


@clause("BIND-03")
async def test_surplus_keys(rig: Rig) -> None:
    """Surplus keys of a mapping that is spread are ignored."""
    assert await rig.completed(flows.spread, {"name": "Ada", "age": "36", "shoe": 38}) == "Ada is 36"


@clause("BIND-04")
@pytest.mark.filterwarnings("default")
async def test_misfits(rig: Rig) -> None:
    """A missing or invalid parameter fails the task with `InvalidInput`, which is not retried."""
    for wrong in ({"numbr": 1}, {"number": "many"}):
        result = await rig.run(flows.wants_number, wrong)

        assert result.status is RunStatus.FAILED
        assert result.error is not None
        assert (result.error.type, result.error.address) == ("InvalidInput", "needs_number")
        assert result.steps["needs_number"].attempts == 1
        assert rig.notes(result) == []


@clause("BIND-05")
async def test_references(rig: Rig) -> None:
    """Parameters annotated with `output_of`, `run_input` or `run_state` are looked up, and the other parameters take
    the value."""
    output: Any = await rig.completed(flows.lookups, {"name": "Ada", "age": 36})

    assert output == ["word Ada is 36", "Ada is 36", "Ada", 9]
