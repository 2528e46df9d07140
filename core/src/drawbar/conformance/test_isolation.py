"""ISO: context variables and blocking callbacks of one run do not reach another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.conformance import flows as all_flows
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import isolation as flows

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


def script(rig: Rig, run_id: str, *places: str) -> flows.Script:
    """Return a script that sets all variables at these places."""
    sets = {place: [*flows.VARIABLES] for place in places}
    return flows.Script(sets=sets, run_id=run_id, folder=str(rig.folder))


def leaks(rig: Rig, run_id: str) -> dict[str, dict[str, str]]:
    """Return the places that saw variables which were not clean, after a check that every place was visited."""
    notes = rig.notes_of(run_id)
    assert {note.what for note in notes} == flows.PLACES
    return {note.what: note.facts["seen"] for note in notes if note.facts["seen"]}


@clause("ISO-01")
async def test_variables_of_a_run(rig: Rig) -> None:
    """A context variable that a step, condition, mapper, duration or callback sets keeps its value for every other
    attempt, condition, mapper, duration and callback, of this run and of others."""
    for run_id in ("first", "second"):
        await rig.completed(flows.variables, script(rig, run_id, *flows.PLACES))

    assert leaks(rig, "first") == {}
    assert leaks(rig, "second") == {}


@clause("ISO-02")
async def test_variables_of_a_client(rig: Rig) -> None:
    """A context variable that a client sets before it opens an engine or starts a run keeps its value for every step,
    condition, mapper, duration and callback."""
    for variable in flows.VARIABLES.values():
        variable.set("client")
    async with rig.client() as client:
        await rig.completed(flows.variables, script(rig, "started"), client=client)

    assert leaks(rig, "started") == {}


@clause("ISO-03")
async def test_callback_that_blocks(rig: Rig) -> None:
    """While a sync callback blocks, other runs go on."""
    run = await rig.start(flows.held_up, 1)
    await rig.wait_for_notes(run, "begun")
    assert await rig.completed(all_flows.probe, "others") == "others"
    assert rig.notes(run, "over") == []
    rig.open_gate("callback")

    assert (await rig.result(run)).output == 1
