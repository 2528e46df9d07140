"""The store suite: tests of the store contract, for every store.

A store passes with a test module like this::

    import pytest
    from drawbar.conformance.store_suite import *   # the classes below

    from drawbar_mystore import plugin

    @pytest.fixture
    async def store():
        store = plugin.create("mystore://localhost/test")   # empty for each test
        await store.open()
        yield store
        await store.close()

The tests are async and run through anyio's pytest plugin: define the fixture `anyio_backend` to choose event loops. If
a store has an attribute `clock`, a function that returns the store's time, the tests set it. Otherwise they wait some
tenths of a second where time matters.
"""

# ruff: noqa: E402 - first pytest must know whose asserts to explain

from __future__ import annotations

import pytest

MODULES = ("claims", "commits", "creation", "ends", "joins", "kit", "places", "reading", "retries", "signals", "timers")
pytest.register_assert_rewrite(*[f"{__name__}.{module}" for module in MODULES])

from drawbar.conformance.store_suite.claims import TestClaims, TestLeases, TestRefusals
from drawbar.conformance.store_suite.commits import TestEvents, TestOutcomes, TestStatus, TestSuccessors
from drawbar.conformance.store_suite.creation import TestCreation
from drawbar.conformance.store_suite.ends import TestBails, TestCancels, TestFinishes
from drawbar.conformance.store_suite.joins import TestFanOuts, TestJoins, TestPulls
from drawbar.conformance.store_suite.places import TestNestedSlots, TestResumedSlots, TestWaitingSlots
from drawbar.conformance.store_suite.reading import TestPurging, TestReading, TestWaiting
from drawbar.conformance.store_suite.retries import TestRetries
from drawbar.conformance.store_suite.signals import TestEmits, TestMail, TestResumes
from drawbar.conformance.store_suite.timers import TestHanding, TestPlans, TestTimes

__all__ = [
    "TestBails",
    "TestCancels",
    "TestClaims",
    "TestCreation",
    "TestEmits",
    "TestEvents",
    "TestFanOuts",
    "TestFinishes",
    "TestHanding",
    "TestJoins",
    "TestLeases",
    "TestMail",
    "TestNestedSlots",
    "TestOutcomes",
    "TestPlans",
    "TestPulls",
    "TestPurging",
    "TestReading",
    "TestRefusals",
    "TestResumedSlots",
    "TestResumes",
    "TestRetries",
    "TestStatus",
    "TestSuccessors",
    "TestTimes",
    "TestWaiting",
    "TestWaitingSlots",
]
