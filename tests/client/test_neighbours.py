"""Whatever one run does, only that run fails: its neighbours, later processes and listings go on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawbar import Context, open_engine, step, workflow
from drawbar.errors import InvalidInput


class FalseIsAnError(Exception):
    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


class NoText(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")

    __repr__ = __str__


class NoEquality(Exception):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class NoPickle(Exception):
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise GeneratorExit


class NoAttributes(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class NoCause(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no cause")


class OfItsOwnKind(BaseException):
    pass


def ring() -> BaseException:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def deep_group() -> BaseException:
    error: Exception = ValueError("innermost")
    for _ in range(1500):
        error = ExceptionGroup("group", [error])
    return error


EXCEPTIONS: dict[str, Any] = {
    "falsy": FalseIsAnError,
    "no text": NoText,
    "no equality": NoEquality,
    "no pickle": NoPickle,
    "no attributes": NoAttributes,
    "no cause": NoCause,
    "own": OfItsOwnKind,
    "ring": ring,
    "deep group": deep_group,
    "huge": lambda: ValueError("x" * 10_000_000),
    "surrogates": lambda: ValueError("\ud800"),
    "surrogate name": lambda: type("\ud800", (Exception,), {})(),
    "zero": lambda: ValueError("a\0b"),
    "generator": GeneratorExit,
    "exit": lambda: SystemExit(3),
    "stop": StopIteration,
    "stop async": StopAsyncIteration,
    "cancelled": asyncio.CancelledError,
    "future cancelled": concurrent.futures.CancelledError,
    "group of exits": lambda: BaseExceptionGroup("group", [GeneratorExit()]),
    "recursion": RecursionError,
    "memory": MemoryError,
}


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


def ring_of_lists() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


VALUES: dict[str, Any] = {
    "129 deep": lambda: nested(129),
    "200 deep": lambda: nested(200),
    "230 deep": lambda: nested(230),
    "256 deep": lambda: nested(256),
    "900 deep": lambda: nested(900),
    "mappings": lambda: json.loads('{"a":' * 230 + "1" + "}" * 230),
    "4301 digits": lambda: 10**4300,
    "minus 4301 digits": lambda: [{"n": -(10**4300)}],
    "surrogates": lambda: "\ud800",
    "contains itself": ring_of_lists,
    "nan": lambda: float("nan"),
    "bad repr": lambda: {NoText(): 1},
    "too large": lambda: "x" * 5_000_000,
}


def do_raise(name: str) -> int:
    raise EXCEPTIONS[name]()


async def do_raise_later(name: str) -> int:
    await asyncio.sleep(0)
    raise EXCEPTIONS[name]()


def do_return(name: str) -> Any:
    return VALUES[name]()


def do_suspend(name: str, ctx: Context) -> Any:
    ctx.suspend(VALUES[name]())


def do_bail(name: str, ctx: Context) -> Any:
    ctx.bail(VALUES[name]())


def do_update(name: str, ctx: Context) -> None:
    ctx.update_state(key=VALUES[name]())


def do_emit(name: str, ctx: Context) -> None:
    ctx.emit(VALUES[name]())


def wrap(value: Any) -> Any:
    return value


RAISING = [
    workflow("raise-thread").then(step(do_raise, id="it")).commit(),
    workflow("raise-timeout").then(step(do_raise, id="it", timeout=60)).commit(),
    workflow("raise-async").then(step(do_raise_later, id="it")).commit(),
    workflow("raise-inline").then(step(do_raise, id="it", run_in="inline")).commit(),
    workflow("raise-retry").then(step(do_raise, id="it", retry=2)).commit(),
    workflow("raise-fallback").then(step(do_raise, id="it", fallback=do_raise_later)).commit(),
    workflow("raise-map").map(do_raise).commit(),
    workflow("raise-async-map").map(do_raise_later).commit(),
    workflow("raise-condition").branch((do_raise, step(wrap, id="it"))).commit(),
    workflow("raise-duration").sleep(do_raise).commit(),
]
RETURNING = [
    workflow("return").then(step(do_return, id="it")).commit(),
    workflow("return-map").map(do_return).commit(),
    workflow("return-items").map(lambda name: [name]).foreach(step(do_return, id="it")).commit(),
    workflow("suspend").then(step(do_suspend, id="it")).commit(),
    workflow("bail").then(step(do_bail, id="it")).commit(),
    workflow("update").then(step(do_update, id="it")).commit(),
    workflow("emit").then(step(do_emit, id="it")).commit(),
    workflow("fallback").then(step(do_raise, id="it", fallback=do_return)).commit(),
    workflow("inputs").parallel(a=step(do_return, id="a"), b=step(wrap, id="b")).commit(),
]
HEALTHY = workflow("healthy").wait_for("go").then(step(wrap, id="wrap")).commit()
LISTENING = workflow("listening").wait_for("go").then(step(wrap, id="wrap")).commit()


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{tmp_path / 'runs.db'}"
        case name:
            url: str = request.getfixturevalue(f"{name}_url")
            return url


async def beside_a_healthy_run(store: str, flow: Any, value: Any) -> Any:
    """Run a workflow beside a healthy run; return its result once the healthy one has ended."""
    async with open_engine("local", store=store) as engine:
        healthy = await engine.start(HEALTHY)
        run = await engine.start(flow, value)
        result = await run.result(timeout=60)
        await healthy.send_event("go", 7)
        assert (await healthy.result(timeout=60)).unwrap() == 7
        assert {run.id, healthy.id} <= {found.run_id for found in await engine.list_runs(limit=1000)}
    return result


def in_a_later_process(store: str, run_id: str) -> Any:
    """Open the store again, and return the result of a run."""

    async def look() -> Any:
        async with open_engine("local", store=store) as engine:
            await engine.list_runs()
            return await engine.get_run(run_id).result(timeout=60)

    return asyncio.run(look())


AGAIN = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@AGAIN
@given(flow=st.sampled_from(RAISING), name=st.sampled_from(sorted(EXCEPTIONS)))
def test_an_exception_fails_only_its_run(store: str, flow: Any, name: str) -> None:
    result = asyncio.run(beside_a_healthy_run(store, flow, name))

    assert result.status == "failed"
    assert len(result.error.message) < 10_000
    if not store.startswith("memory"):
        assert in_a_later_process(store, result.run_id).status == "failed"


@AGAIN
@given(flow=st.sampled_from(RETURNING), name=st.sampled_from(sorted(VALUES)))
def test_a_value_over_a_limit_fails_only_its_run(store: str, flow: Any, name: str) -> None:
    result = asyncio.run(beside_a_healthy_run(store, flow, name))

    assert result.status == "failed"
    assert result.error.type in ("InvalidOutput", "ValueTooLarge")
    if not store.startswith("memory"):
        assert in_a_later_process(store, result.run_id).status == "failed"


@AGAIN
@given(name=st.sampled_from(sorted(VALUES)))
def test_a_value_over_a_limit_from_outside_is_refused(store: str, name: str) -> None:
    async def send() -> None:
        async with open_engine("local", store=store) as engine:
            run = await engine.start(LISTENING)
            with pytest.raises(InvalidInput):
                await run.send_event("go", VALUES[name]())
            with pytest.raises(InvalidInput):
                await engine.start(LISTENING, VALUES[name]())
            with pytest.raises(InvalidInput):
                await engine.start(LISTENING, metadata={"key": VALUES[name]()})
            with pytest.raises(InvalidInput):
                await run.fork("wrap", VALUES[name]())
            await run.send_event("go", 1)
            assert (await run.result(timeout=60)).unwrap() == 1

    asyncio.run(send())
