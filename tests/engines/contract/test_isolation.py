"""Generated scripts of which user code sets which context variables: no other user code sees them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawbar.conformance import EngineUnderTest
from drawbar.conformance.flows.isolation import PLACES, VARIABLES, Script, variables
from drawbar.conformance.rig import Rig
from drawbar.conformance.workers import Workers

SCRIPTS = st.lists(
    st.dictionaries(
        st.sampled_from(sorted(PLACES)), st.lists(st.sampled_from(sorted(VARIABLES)), unique=True, min_size=1)
    ),
    min_size=1,
    max_size=3,
)
"""What the runs of an example set, at which places. The runs go on at the same time."""


@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
@given(scripts=SCRIPTS, of_client=st.sets(st.sampled_from(sorted(VARIABLES))))
def test_no_place_sees_what_another_place_or_client_has_set(
    subject: EngineUnderTest, workers: Workers | None, tmp_path: Path, scripts: list[Any], of_client: set[str]
) -> None:
    async def play() -> None:
        for name in of_client:
            VARIABLES[name].set("client")
        async with Rig(subject, workers, tmp_path) as rig:
            ids = [uuid.uuid4().hex for _ in scripts]
            runs = [
                await rig.start(variables, Script(sets=sets, run_id=run_id, folder=str(tmp_path)))
                for run_id, sets in zip(ids, scripts, strict=True)
            ]
            for run in runs:
                (await rig.result(run)).unwrap()
            notes = [note for run_id in ids for note in rig.notes_of(run_id)]

        assert {note.what for note in notes} == PLACES
        assert {note.what: note.facts["seen"] for note in notes if note.facts["seen"]} == {}

    for backend in ("asyncio", "trio") if subject.in_process else ("asyncio",):
        anyio.run(play, backend=backend)


@pytest.fixture
def subject(engine: EngineUnderTest) -> EngineUnderTest:
    return engine
