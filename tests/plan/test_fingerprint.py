"""A fingerprint changes with whatever decides the addresses of a run, and with nothing else."""

from typing import Any

from drawbar import Workflow, step, workflow


@step
async def first(x: int) -> int:
    return x


@step
async def second(x: int) -> int:
    return x + 1


def fingerprint(made: Workflow[Any, Any]) -> str:
    return made.plan.fingerprint


def test_the_same_graph_has_the_same_one() -> None:
    assert fingerprint(workflow("w").then(first).commit()) == fingerprint(workflow("w").then(first).commit())


def test_the_code_of_steps_and_conditions_is_not_part_of_it() -> None:
    one = workflow("w").then(step(first.fn, id="a")).map(lambda x: x).commit()
    other = workflow("w").then(step(second.fn, id="a", retry=4)).map(lambda x: x + 1).commit()
    assert fingerprint(one) == fingerprint(other)


def test_another_step_another_order_and_another_version_change_it() -> None:
    made: list[Workflow[Any, Any]] = [
        workflow("w").then(first).then(second).commit(),
        workflow("w").then(second).then(first).commit(),
        workflow("w").then(first).commit(),
        workflow("w").parallel(first, second).commit(),
        workflow("w", version="2").then(first).commit(),
        workflow("v").then(first).commit(),
        workflow("w").do_until(first, lambda x: True).commit(),
        workflow("w").do_while(first, lambda x: True).commit(),
        workflow("w").wait_for("paid").commit(),
        workflow("w").wait_for("sent").commit(),
    ]
    assert len({fingerprint(one) for one in made}) == len(made)
