"""The conformance kit: the contract as tests, for every engine and store.

Run it without writing code::

    pytest --pyargs drawbar.conformance --engine rq --setting url=redis://localhost:6379/5

Or run it from a test file in the engine's repository: see `drawbar.conformance.suite`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawbar.conformance.subject import EngineUnderTest, unreachable

__all__ = ["EngineUnderTest", "unreachable"]


def __getattr__(name: str) -> object:
    # Workers import the flows of this package without pytest, so `subject` is imported on first use.
    if name in __all__:
        from drawbar.conformance import subject

        return getattr(subject, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
