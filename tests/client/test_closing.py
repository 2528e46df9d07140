"""Starting while the store is away for a moment, and closing while it is away or somebody waits."""

import threading
import time
from typing import Any

import anyio
import pytest

from drawbar import DrawbarError, open_engine, step, workflow
from drawbar.errors import StoreUnavailable
from drawbar.stores.memory import MemoryStore


@step
def double(value: int) -> int:
    return 2 * value


@step
async def wait_long(value: int) -> int:
    await anyio.sleep(60)
    return value


doubles = workflow("doubles", input=int).then(double).commit()
waits = workflow("waits", input=int).then(wait_long).commit()


class Shaky(MemoryStore):
    """A store that is away for some calls, before or after it has done what it was asked."""

    def __init__(self, *, failures: int = 0, after: bool = False) -> None:
        super().__init__()
        self.failures = failures
        self.after = after
        self.away = False

    async def create(self, run: Any) -> Any:
        if self.failures and not self.after:
            self.failures -= 1
            raise StoreUnavailable("the store is away")
        made = await super().create(run)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the answer is lost")
        return made

    async def release(self, owner: str, **options: Any) -> int:
        if self.away:
            raise StoreUnavailable("the store is away")
        return await super().release(owner, **options)

    async def close(self) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")
        await super().close()


class Durable(Shaky):
    """The same for a store that outlives the process."""

    durable = True


@pytest.mark.parametrize("after", [False, True])
def test_start_is_tried_again_while_the_store_is_away(after: bool) -> None:
    store = Shaky(failures=3, after=after)
    with open_engine("local", store=store) as engine:
        assert engine.start_sync(doubles, 4, run_id="one").result_sync(timeout=30).output == 8
        assert len(engine.list_runs_sync()) == 1


def test_a_fork_is_tried_again_too() -> None:
    store = Shaky()
    with open_engine("local", store=store) as engine:
        run = engine.start_sync(doubles, 4)
        run.result_sync(timeout=30)
        store.failures, store.after = 2, True
        assert run.fork_sync("double", 5, run_id="fork").result_sync(timeout=30).output == 10


@pytest.mark.parametrize("run_id", ["order-7", None])
def test_the_error_of_start_names_the_id_to_start_again_with(run_id: str | None) -> None:
    store = Shaky(failures=10**6, after=True)
    with open_engine("local", store=store, connect_timeout=0.3) as engine:
        with pytest.raises(StoreUnavailable, match="run_id=") as caught:
            engine.start_sync(doubles, 4, run_id=run_id)
        store.failures = 0
        named = str(caught.value).rpartition("run_id='")[2].rstrip("'")
        assert run_id in (None, named)
        assert engine.start_sync(doubles, 4, run_id=named).id == named
        assert len(engine.list_runs_sync()) == 1


def test_a_store_that_is_away_at_the_end_does_not_replace_the_result(caplog: pytest.LogCaptureFixture) -> None:
    store = Durable()
    with open_engine("local", store=store) as engine:
        output = engine.start_sync(doubles, 4).result_sync(timeout=30).output
        store.away = True
    assert output == 8
    assert "the store is away" in caplog.text


def test_a_store_that_is_away_at_the_end_does_not_replace_the_error() -> None:
    store = Durable()

    def use() -> None:
        with open_engine("local", store=store) as engine:
            engine.start_sync(doubles, 4).result_sync(timeout=30)
            store.away = True
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_engine_that_is_closed_ends_the_wait_for_a_result(backend: str) -> None:
    async def main() -> float:
        caught: list[BaseException] = []

        async def wait(run: Any) -> None:
            try:
                await run.result()
            except DrawbarError as error:
                caught.append(error)

        async with anyio.create_task_group() as group:
            async with open_engine("local") as engine:
                run = await engine.start(waits, 1, run_id="slow")
                group.start_soon(wait, run)
                await anyio.sleep(0.2)
            closed = time.monotonic()
        assert "run slow is running, and no worker goes on with it: this engine is closed" in str(caught[0])
        return time.monotonic() - closed

    assert anyio.run(main, backend=backend) < 10


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{folder}/runs.db"])
def test_a_thread_that_waits_for_a_result_gets_an_error_of_drawbar(url: str, tmp_path: Any) -> None:
    caught: list[BaseException] = []

    def wait(run: Any) -> None:
        try:
            run.result_sync()
        except BaseException as error:  # noqa: BLE001 - which one it is, is the question
            caught.append(error)

    with open_engine("local", store=url.format(folder=tmp_path)) as engine:
        run = engine.start_sync(waits, 1)
        thread = threading.Thread(target=wait, args=(run,))
        thread.start()
        while not run.snapshot_sync().steps:
            time.sleep(0.01)
        time.sleep(0.2)
    thread.join(20)
    assert not thread.is_alive()
    assert [type(error) for error in caught] == [DrawbarError]
    assert "closed" in str(caught[0])

