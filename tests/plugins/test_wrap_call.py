"""The hook `drawbar_wrap_call`: entered where the function of a sync step, fallback or callback runs."""

import inspect
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drawbar import Context, RunResult, RunStatus, open_engine, step, workflow
from drawbar.hookspecs import hookimpl
from drawbar.plugins import hooks
from tests.support.packages import install

pytestmark = pytest.mark.anyio


class Notes:
    """A plugin that notes where it enters and exits, and what it sees."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str]] = []
        self.threads: dict[tuple[str, str], int] = {}
        self.raised: list[str] = []

    @hookimpl
    def drawbar_wrap_call(self, step: Any, ctx: Context) -> AbstractContextManager[None]:
        return self._around(step.id, ctx.address)

    @contextmanager
    def _around(self, step_id: str, address: str) -> Iterator[None]:
        self.notes.append(("in", step_id, address))
        self.threads["in", step_id] = threading.get_ident()
        try:
            yield
        except BaseException as error:
            self.raised.append(type(error).__name__)
            raise
        finally:
            self.notes.append(("out", step_id, address))
            self.threads["out", step_id] = threading.get_ident()


@pytest.fixture
def plugin() -> Iterator[Notes]:
    made = Notes()
    hooks().register(made, name="notes")
    yield made
    hooks().unregister(name="notes")


async def run(flow: Any, value: Any = None) -> RunResult[Any]:
    async with open_engine("local", store="memory://") as engine:
        return await (await engine.start(flow, value)).result(60)


@pytest.mark.parametrize("options", [{}, {"timeout": 60}, {"run_in": "inline"}])
async def test_it_is_entered_and_exited_where_the_function_runs(plugin: Notes, options: Any) -> None:
    seen: list[int] = []

    @step(**options)
    def look(_value: Any) -> int:
        seen.append(threading.get_ident())
        return plugin.notes.count(("out", "look", "look"))

    result = await run(workflow("looks").then(look).then(look.with_id("again")).commit())

    assert result.steps["look"].output == 0
    assert [note[:2] for note in plugin.notes] == [("in", "look"), ("out", "look"), ("in", "again"), ("out", "again")]
    assert [plugin.threads["in", "look"], plugin.threads["out", "look"]] == [seen[0]] * 2
    assert (seen[0] == threading.get_ident()) is (options.get("run_in") == "inline")


async def test_async_steps_conditions_and_mappers_are_not_wrapped(plugin: Notes) -> None:
    @step
    async def pass_on(value: int) -> int:
        return value

    flow = workflow("async", input=int).then(pass_on).map(lambda x: x).do_until(pass_on.with_id("p"), lambda x: True)

    assert (await run(flow.commit(), 1)).output == 1
    assert plugin.notes == []


async def test_the_fallback_and_sync_callbacks_are_wrapped(plugin: Notes) -> None:
    def stand_in(_value: Any) -> str:
        return "instead"

    @step(fallback=step(stand_in))
    def fail(_value: Any) -> str:
        raise ValueError("as expected")

    def told(_result: RunResult[Any]) -> None:
        return None

    async def told_later(_result: RunResult[Any]) -> None:
        return None

    flow = workflow("calls-back", on_start=told, on_success=told_later, on_finish=told).then(fail).commit()

    assert (await run(flow)).output == "instead"
    assert [note[1] for note in plugin.notes if note[0] == "in"] == ["on_start", "fail", "stand_in", "on_finish"]
    assert plugin.raised == ["ValueError"]


async def test_it_sees_a_suspension(plugin: Notes) -> None:
    @step
    def ask(_value: Any, ctx: Context) -> None:
        ctx.suspend("?")

    assert (await run(workflow("asks").then(ask).commit())).status is RunStatus.SUSPENDED
    assert plugin.raised == ["SuspendStep"]


class Swallows:
    """A plugin that breaks the rule: it swallows exceptions."""

    @hookimpl
    def drawbar_wrap_call(self) -> AbstractContextManager[Any]:
        return suppress(ValueError)


class Breaks:
    """A plugin that raises."""

    @hookimpl
    def drawbar_wrap_call(self) -> None:
        raise LookupError("no connection")


@pytest.mark.parametrize(("other", "says"), [(Swallows, "as expected"), (Breaks, "no connection")])
@pytest.mark.parametrize("run_in", ["thread", "inline"])
async def test_a_plugin_neither_completes_nor_hides_a_step_that_failed(other: Any, says: str, run_in: Any) -> None:
    @step(run_in=run_in)
    def fail(_value: Any) -> None:
        raise ValueError("as expected")

    hooks().register(other(), name="other")
    try:
        result = await run(workflow("fails").then(fail).commit())
    finally:
        hooks().unregister(name="other")

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert result.error.message == says


@step(run_in="process")
def where(_value: Any) -> list[str]:
    return [*Path(os.environ["DRAWBAR_TEST_NOTES"]).read_text().split(), str(os.getpid())]


async def test_in_another_process_the_plugins_of_distributions_are_called(
    plugin: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(
        site,
        "noting-dist",
        entry_points={"drawbar.plugins": {"noting": "noting_hooks"}},
        modules={
            "noting_hooks": """
            import os
            from contextlib import contextmanager
            from drawbar.hookspecs import hookimpl

            @contextmanager
            def around(step, ctx):
                with open(os.environ["DRAWBAR_TEST_NOTES"], "a") as file:
                    print(os.getpid(), step.id, ctx.address, ctx.attempt, file=file)
                yield
                with open(os.environ["DRAWBAR_TEST_NOTES"], "a") as file:
                    print("out", file=file)

            @hookimpl
            def drawbar_wrap_call(step, ctx):
                return around(step, ctx)
            """
        },
    )
    notes = tmp_path / "notes"
    monkeypatch.setenv("DRAWBAR_TEST_NOTES", str(notes))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(site)

    result = await run(workflow("elsewhere").then(where).commit())

    pid, step_id, address, attempt, own = result.output
    assert (step_id, address, attempt) == ("where", "where", "1")
    assert pid == own != str(os.getpid())
    assert notes.read_text().split()[-1] == "out"
    assert plugin.notes == []


@pytest.fixture
def no_plugin() -> Iterator[None]:
    """Take away the plugins of installed distributions that have the hook."""
    found = [(impl.plugin_name, impl.plugin) for impl in hooks().hook.drawbar_wrap_call.get_hookimpls()]
    for name, _ in found:
        hooks().unregister(name=name)
    yield
    for name, plugin in found:
        hooks().register(plugin, name=name)


@pytest.mark.usefixtures("no_plugin")
async def test_without_a_plugin_a_step_is_called_directly() -> None:
    frames: list[str] = []

    @step
    def look(_value: Any) -> None:
        frames.extend(frame.filename.rpartition("/")[2] for frame in inspect.stack(0))

    await run(workflow("direct").then(look).commit())

    assert frames
    assert "around.py" not in frames
