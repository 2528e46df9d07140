"""`from drawbar import ...` has the names that the documentation promises, and no others."""

import types

import pytest

import drawbar

# fmt: off
PROMISED = [
    "AmbiguousResume", "Context", "EventTimeout", "FatalError", "GraphError", "InvalidInput",
    "NotSuspended", "Retry", "RetryAfter", "Run", "RunCancelled", "RunConflict",
    "RunFailed", "RunResult", "RunStatus", "RunSuspended", "StepResult", "Workflow",
    "chain", "load_steps", "open_engine", "output_of", "run_input", "run_state",
    "step", "value_at", "workflow",
]
# fmt: on


@pytest.mark.parametrize("name", sorted({*PROMISED, *drawbar.__all__}))
def test_every_public_name_is_there(name: str) -> None:
    assert name in drawbar.__all__
    assert getattr(drawbar, name) is not None


def test_nothing_else_is_public() -> None:
    for name in drawbar.__all__:
        getattr(drawbar, name)  # lazy ones appear when asked for
    named = {name for name, value in vars(drawbar).items() if not isinstance(value, types.ModuleType)}
    public = {name for name in named if not name.startswith("_")} - {"TYPE_CHECKING", "annotations"}

    assert public <= set(drawbar.__all__)
