"""The kit on engines that are broken on purpose. test_faults.py runs it, with the clauses of each fault."""

import pytest

from drawbar.conformance import EngineUnderTest
from drawbar.conformance.suite import *  # noqa: F403
from tests.conformance import faults_of_core, faults_of_meaning, faults_of_stores
from tests.conformance.breaking import FAULTS

assert faults_of_core
assert faults_of_meaning
assert faults_of_stores


@pytest.fixture(scope="session", params=sorted(FAULTS))
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """The local engine with a fault. Many runs hang; the faults with a separate worker process need more time."""
    fault = FAULTS[request.param]
    patience = 3 if fault.lives else 12
    return EngineUnderTest(name="broken", label=fault.name, settings={"fault": fault.name}, patience=patience)
