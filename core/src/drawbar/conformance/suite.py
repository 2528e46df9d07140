"""All clauses, for a test file of a third party. The file defines the fixture `engine`.

::

import pytest
from drawbar.conformance import EngineUnderTest
from drawbar.conformance.suite import *  # noqa: F403

@pytest.fixture(scope="session")
def engine() -> EngineUnderTest:
    return EngineUnderTest(name="rq", settings={"url": "redis://localhost:6379/5"})
"""

from __future__ import annotations

from drawbar.conformance import (
    test_authoring,
    test_branches,
    test_cancel,
    test_delivery,
    test_events,
    test_failure,
    test_foreach,
    test_forks,
    test_isolation,
    test_joins,
    test_loops,
    test_nested,
    test_recovery,
    test_rerun,
    test_retry,
    test_running,
    test_security,
    test_state,
    test_suspend,
    test_timers,
    test_types,
)
from drawbar.conformance.clauses import Clause, clauses_in
from drawbar.conformance.fixtures import rig, workers

MODULES = (
    test_authoring,
    test_running,
    test_joins,
    test_branches,
    test_loops,
    test_foreach,
    test_forks,
    test_failure,
    test_retry,
    test_timers,
    test_suspend,
    test_events,
    test_cancel,
    test_state,
    test_nested,
    test_delivery,
    test_recovery,
    test_rerun,
    test_types,
    test_isolation,
    test_security,
)


def clauses() -> list[Clause]:
    """Return every clause, in the order of the contract."""
    return [clause for module in MODULES for clause in clauses_in(module)]


def name_of(clause: Clause) -> str:
    """Return the name of a clause's test in a file that imports everything from this module."""
    return "test_" + clause.id.lower().replace("-", "_")


globals().update({name_of(clause): clause.test for clause in clauses()})

__all__ = ["rig", "workers", *(name_of(clause) for clause in clauses())]  # noqa: PLE0604
