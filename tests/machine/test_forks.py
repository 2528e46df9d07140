"""Forks of generated runs, from every place, against the interpreter: what stood before the place is kept.

`DRAWBAR_TEST_FORKS=1000` takes a thousand runs.
"""

import os
from random import Random

import anyio
import pytest

from drawbar import RunStatus
from drawbar.conformance.graphs import seeded
from drawbar.conformance.interpreter import interpret
from drawbar.conformance.parts import answer
from drawbar.plan import Op
from drawbar.results import RunResult
from tests.machine.simulation import Simulation
from tests.machine.test_model import check_answer

RUNS = int(os.environ.get("DRAWBAR_TEST_FORKS", "60"))


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_fork_from_any_place_runs_what_the_interpreter_says(seed: int) -> None:
    workflow, value = seeded(seed), seed % 7
    before = interpret(workflow, value, answers=answer)
    simulation = Simulation(workflow, Random(seed), fan_out=2, answers=answer)

    def is_step(address: str) -> bool:
        place = workflow.plan.locate(address)
        return place is not None and place[0].op is Op.STEP

    def stands_before(step: str, place: str) -> bool:
        one, other = workflow.plan.locate(step), workflow.plan.locate(place)
        assert one is not None
        assert other is not None
        return workflow.plan.after(*one)(*other)

    async def play() -> None:
        await simulation.play(value)
        reached = [task.address for task in await simulation.store.tasks("run") if task.kind == "step"]
        for place in reached:
            result, claimed = await simulation.fork(place)
            check_fork(place, result, set(filter(is_step, claimed)))

    def check_fork(place: str, result: RunResult[object], ran: set[str]) -> None:
        if before.status is not RunStatus.COMPLETED:
            check_answer(result, before)
            assert not [step for step in ran if stands_before(step, place)], place
            return
        expected = interpret(workflow, value, answers=answer, fork=(before, place))
        check_answer(result, expected)
        assert result.to_dict()["state"] == expected.state, place
        assert ran == {call.address for call in expected.calls}, place

    anyio.run(play)
