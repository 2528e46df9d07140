"""The fixtures of the kit. A third party replaces the fixture `engine`."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from drawbar.conformance.rig import Rig, Rigs
from drawbar.conformance.subject import EngineUnderTest, unreachable
from drawbar.conformance.workers import Workers
from drawbar.errors import EngineError, SettingsError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["engine", "rig", "workers"]


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> EngineUnderTest:
    """Return the engine under test, from the options of the command line."""
    name = pytestconfig.getoption("conformance_engine", None)
    if name is None:
        pytest.fail("no engine is chosen: pytest --pyargs drawbar.conformance --engine NAME", pytrace=False)
    return EngineUnderTest(
        name=name,
        store=pytestconfig.getoption("conformance_store"),
        flags=dict(pytestconfig.getoption("conformance_setting")),
        xfail=dict(pytestconfig.getoption("conformance_xfail")),
    )


@pytest.fixture(scope="session")
def workers(
    request: pytest.FixtureRequest, engine: EngineUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers | None]:
    """Start the engine's worker processes and wait until they serve; None for an engine in this process."""
    folder = tmp_path_factory.mktemp("conformance")
    workers = None
    with _sigterm_as_interrupt():
        try:
            try:
                workers = _workers(engine, folder)
                if workers is not None:
                    workers.start()
                _probe(engine, workers, folder)
            except pytest.fail.Exception:
                # Every clause would fail with the same message. Go on only if the session has other tests.
                if all(item.get_closest_marker("clause") for item in request.session.items):
                    request.session.shouldfail = f"engine {engine.name!r} does not serve, see above"
                raise
            yield workers
        finally:
            if workers is not None:
                workers.close()


@pytest.fixture
def rig(engine: EngineUnderTest, workers: Workers | None, tmp_path: Path) -> Rigs:
    """Return the factory of rigs for a clause's test."""
    return Rigs(engine, workers, tmp_path)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C. Workers that outlive their session would take the messages of the next session."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    replace = in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if replace:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if replace:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _workers(engine: EngineUnderTest, folder: Path) -> Workers | None:
    try:
        return None if engine.in_process else Workers(engine, engine.store_in(folder), folder)
    except SettingsError as error:
        problem = str(error)
    pytest.fail(f"engine {engine.name!r} cannot be opened: {problem}", pytrace=False)


def _probe(engine: EngineUnderTest, workers: Workers | None, folder: Path) -> None:
    """Execute one run, to fail early if the engine does not serve."""
    from drawbar.conformance import flows

    async def run() -> None:
        async with Rig(engine, workers, folder) as rig:
            started = await rig.start(flows.probe, "ping")
            with anyio.move_on_after(engine.patience):
                while not (await started.status()).finished and not (workers and workers.failed()):  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            assert (await started.status()).finished, await rig.describe(started)
            assert (await rig.result(started)).unwrap() == "ping"

    problem = None
    try:
        anyio.run(run)
    except (StoreUnavailable, EngineError, AssertionError) as error:
        if todo := _not_implemented(error, workers):
            problem = f"is not written yet:\n{todo}"
        elif not isinstance(error, AssertionError):
            unreachable(str(error))
        else:
            problem = f"does not serve: {error}\n{workers.logs() if workers is not None else ''}"
    except SettingsError as error:
        problem = f"cannot be opened: {error}"
    if problem is not None:  # outside the `except` block, so that pytest does not show the original error too
        pytest.fail(f"engine {engine.name!r} {problem}", pytrace=False)


def _not_implemented(error: Exception, workers: Workers | None) -> str:
    """Return the messages of the `NotImplementedError`s that an unfinished engine has raised."""
    found = [str(error.__cause__)] if isinstance(error.__cause__, NotImplementedError) else []
    if found and workers is not None:
        workers.wait_for_failure()
    mark = "NotImplementedError: "
    logged = workers.logs().splitlines() if workers is not None else []
    found += [line.removeprefix(mark) for line in logged if line.startswith(mark)]
    return "\n".join(f"  {text}" for text in dict.fromkeys(found))
