"""Every kind of user code, each piece of which reads all context variables and then sets some of them."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from drawbar import Context, Retry, step, workflow
from drawbar.conformance.witness import FOLDER, is_open, note

if TYPE_CHECKING:
    from drawbar import RunResult

CLEAN = "clean"
VARIABLES: dict[str, ContextVar[str]] = {name: ContextVar(name, default=CLEAN) for name in ("tenant", "trace")}


class Script(BaseModel):
    """What to set where. It is the value of every step.

    Attributes:
        sets: The names of the variables to set, by place.
        run_id: The file of the notes.
        folder: The folder of the notes.
    """

    sets: dict[str, list[str]] = {}
    run_id: str
    folder: str

    def set_at(self, place: str) -> None:
        """Set the variables that this place is to set."""
        for name in self.sets.get(place, ()):
            VARIABLES[name].set(place)


def seen() -> dict[str, str]:
    """Return the variables that are not clean."""
    return {name: variable.get() for name, variable in VARIABLES.items() if variable.get() != CLEAN}


def visit(value: Any, place: str) -> Script:
    """Note what a place sees, set what it is to set, and return the script."""
    script = value if isinstance(value, Script) else Script.model_validate(value)
    note(Context(run_id=script.run_id, metadata={FOLDER: script.folder}), place, seen=seen())
    script.set_at(place)
    return script


def visiting(place: str) -> Any:
    """Return a sync function that visits a place."""

    def call(script: Script) -> Script:
        return visit(script, place)

    return call


def visiting_async(place: str) -> Any:
    """Return an async function that visits a place."""

    async def call(script: Script) -> Script:
        return visit(script, place)

    return call


def hidden(place: str) -> Any:
    """Return a function that does not look async, and returns an awaitable."""
    visit_later = visiting_async(place)

    def call(script: Script) -> Any:
        return visit_later(script)

    return call


def asking(place: str) -> Any:
    """Return a condition that visits a place and is true."""
    return lambda script: bool(visiting(place)(script))


def sleeping(script: Script) -> float:
    """Return no seconds, as the duration of a sleep."""
    visit(script, "duration")
    return 0.0


def _step(place: str, make: Any = visiting, **options: Any) -> Any:
    return step(make(place), id=place, **options)


@step(run_in="process")
def in_process(script: Script) -> Script:
    return visit(script, "in_process")


@step(retry=Retry(2))
async def once_more(script: Script, ctx: Context) -> Script:
    """Fail in the first attempt, after setting variables."""
    visit(script, f"once_more-{ctx.attempt}")
    if ctx.attempt == 1:
        raise ValueError("once more")
    return script


@step(fallback=_step("fallback"))
async def failing(script: Script) -> Script:
    """Fail after setting variables; a fallback stands in."""
    visit(script, "failing")
    raise ValueError("use the fallback")


def _callback(place: str) -> Any:
    def callback(result: RunResult[Any]) -> None:
        visit(result.input, place)

    return callback


def _async_callback(place: str) -> Any:
    async def callback(result: RunResult[Any]) -> None:
        visit(result.input, place)

    return callback


def _first(value: Any) -> Script:
    """Return the script out of the outputs of a fan-out."""
    outputs = list(value.values()) if isinstance(value, dict) else value
    return Script.model_validate(outputs[0])


variables = (
    workflow(
        "variables",
        input=Script,
        on_start=_callback("on_start"),
        on_success=_async_callback("on_success"),
        on_finish=_callback("on_finish"),
    )
    .then(_step("async", visiting_async))
    .then(_step("thread"))
    .then(_step("thread-again"))
    .then(_step("hidden", hidden))
    .then(_step("hidden-inline", hidden, run_in="inline"))
    .then(_step("timed", visiting_async, timeout=60))
    .then(_step("timed-thread", timeout=60))
    .then(_step("inline", run_in="inline"))
    .then(in_process)
    .then(in_process.with_id("in_process-again"))
    .map(visiting("mapper"))
    .map(visiting_async("async-mapper"))
    .map(hidden("hidden-mapper"))
    .branch((asking("condition"), _step("arm")), (asking("condition-2"), _step("arm-2", visiting_async)))
    .map(_first)
    .choose((lambda script: not asking("choice")(script), _step("never")), (asking("choice-2"), _step("chosen")))
    .do_until(_step("body"), asking("until"))
    .sleep(sleeping)
    .then(once_more)
    .then(failing)
    .map(lambda script: [script] * 4)
    .foreach(_step("item"), concurrency=1)
    .map(_first)
    .parallel(_step("parallel"), _step("parallel-2", visiting_async))
    .map(_first)
    .commit()
)

PLACES = frozenset(
    {
        *("on_start", "async", "thread", "thread-again", "hidden", "hidden-inline", "timed", "timed-thread"),
        *("inline", "in_process", "mapper", "async-mapper", "hidden-mapper", "condition", "condition-2", "arm"),
        *("arm-2", "choice", "choice-2", "chosen", "body", "until", "duration", "once_more-1", "once_more-2"),
        *("failing", "fallback", "item", "parallel", "parallel-2", "on_success", "on_finish"),
    }
)
"""Every place that `variables` visits."""


def _wait_at_gate(result: RunResult[Any]) -> None:
    """Block until the gate is open, or 15 seconds: the test cannot open it while the event loop is blocked."""
    context = Context(run_id=result.run_id, metadata=result.metadata)
    note(context, "begun")
    until = time.monotonic() + 15
    while not is_open(context, "callback") and time.monotonic() < until:
        time.sleep(0.01)
    note(context, "over")


@step
async def unchanged(value: Any) -> Any:
    return value


held_up = workflow("held-up", on_start=_wait_at_gate).then(unchanged).commit()
