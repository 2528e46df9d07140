"""The machine and the worker against a plain recursive interpreter, under every interleaving that can be drawn.

Properties (also in docs/design.md):

- *same answer*: whatever the order of deliveries, and whatever is lost, doubled or killed, a run ends as the
  interpreter says;
- *exactly once*: the outcome of each task is committed once;
- *places*: a foreach with `concurrency` never has more items in progress, and no fewer while one waits for a place;
- *never stuck*: as long as a run has not ended, something is due, delivered or waited for from outside.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawbar import RunStatus, Workflow, machine
from drawbar.conformance.graphs import seeded, waiting, workflows
from drawbar.conformance.interpreted import Outcome
from drawbar.conformance.interpreter import interpret
from drawbar.conformance.parts import answer
from drawbar.results import RunResult
from tests.machine.simulation import Simulation


@pytest.fixture(scope="module", autouse=True)
def _fan_outs_grow() -> Iterator[None]:
    """Even the small ones here begin with fewer items than may be in flight."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "INITIAL_WINDOW", 1)
        yield


slow = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def play(workflow: Workflow[Any, Any], value: Any, seed: int, faults: int, budget: float, fan_out: int) -> None:
    """Plays one interleaving, and holds it against the properties.

    Being stuck is found by the simulation itself.
    """
    expected = interpret(workflow, value, answers=answer)
    simulation = Simulation(workflow, Random(seed), faults=faults, budget=budget, fan_out=fan_out, answers=answer)

    async def run() -> RunResult[Any]:
        return await simulation.play(value)

    result = anyio.run(run)
    check_answer(result, expected)
    assert all(count == 1 for count in simulation.store.committed.values()), simulation.store.committed
    if expected.status is RunStatus.COMPLETED:
        assert result.to_dict()["state"] == expected.state


def check_answer(result: RunResult[Any], expected: Outcome) -> None:
    """The run ended as the interpreter says; of places that fail at once, any may be the first."""
    assert result.status is expected.status, result.error
    if expected.status is RunStatus.COMPLETED:
        assert result.to_dict()["output"] == expected.output
    else:
        assert result.error is not None
        assert result.error.address in expected.failures


@slow
@given(workflows(), st.integers(0, 9), st.integers(0, 2**32), st.sampled_from([0.0, 30.0]), st.integers(1, 4))
def test_any_order_of_deliveries_gives_the_interpreters_answer(
    workflow: Workflow[Any, Any], value: int, seed: int, budget: float, fan_out: int
) -> None:
    play(workflow, value, seed, 0, budget, fan_out)


@slow
@given(workflows(), st.integers(0, 9), st.integers(0, 2**32), st.integers(1, 20), st.sampled_from([0.0, 30.0]))
def test_lost_and_doubled_messages_and_dead_workers_change_nothing(
    workflow: Workflow[Any, Any], value: int, seed: int, faults: int, budget: float
) -> None:
    play(workflow, value, seed, faults, budget, 2)


@pytest.mark.parametrize("seed", range(200))
def test_seeded_graphs_survive_a_worker_that_dies_often(seed: int) -> None:
    play(seeded(seed), seed % 7, seed, 30, (0.0, 30.0)[seed % 2], 2)


@pytest.mark.parametrize("seed", range(60))
def test_items_that_wait_in_fan_outs_in_fan_outs_survive_dead_workers(seed: int) -> None:
    play(waiting(seed), seed % 7, seed, (0, 30)[seed % 2], (0.0, 30.0)[seed // 2 % 2], 1 + seed % 3)
