"""The kit on engines that lose, double, delay or shuffle messages. test_nuisances.py runs it."""

import pytest

from drawbar.conformance import EngineUnderTest
from drawbar.conformance.suite import *  # noqa: F403


@pytest.fixture(scope="session", params=["twice", "shuffled", "late", "lossy"])
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """The local engine with one of these habits. Lost messages are sent again soon."""
    settings = {"habit": request.param, "redispatch": 0.2}
    return EngineUnderTest(name="nuisance", label=request.param, settings=settings)
