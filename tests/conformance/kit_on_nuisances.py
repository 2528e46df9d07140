"""The kit, on engines with bad habits. Run by test_nuisances.py."""

import pytest

from drawbar.conformance import EngineUnderTest
from drawbar.conformance.suite import *  # noqa: F403


@pytest.fixture(scope="session", params=["twice", "shuffled", "late", "lossy"])
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """The local engine with a habit; what gets lost is sent again soon."""
    settings = {"habit": request.param, "redispatch": 0.2}
    return EngineUnderTest(name="nuisance", label=request.param, settings=settings)
