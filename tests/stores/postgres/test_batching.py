"""Operations on one run, many at once in one process."""

import anyio
import anyio.to_thread
import pytest

from drawbar.conformance.store_suite.kit import begin, complete, fan, outcome, slot, step, take, together
from drawbar.errors import NotSuspended, StoreError
from drawbar.records import Reply, TaskStatus
from drawbar_postgres import PostgresStore
from drawbar_postgres.batching import LARGEST_BATCH, Batcher, BatchJob
from drawbar_postgres.pipeline import Pipeline
from tests.stores.postgres.conftest import Sql, Stores

pytestmark = pytest.mark.anyio


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The commits that go to the server."""
    seen: list[bytes] = []
    send = Pipeline.send

    def note(pipeline: Pipeline, text: bytes, *values: object, once: bool = False) -> object:
        if text == b"COMMIT":
            seen.append(text)
        return send(pipeline, text, *values, once=once)

    monkeypatch.setattr(Pipeline, "send", note)
    return seen


async def test_what_comes_together_is_committed_together(store: PostgresStore, commits: list[bytes]) -> None:
    run_id = await begin(store, step("a"))
    await complete(store, await take(store, run_id, "a"), fan("j", 40, 40))
    tasks = [await take(store, run_id, f"j[{number}]") for number in range(40)]
    commits.clear()
    replies = await together([complete(store, task, slot("j", n, n)) for n, task in enumerate(tasks)])
    assert all(isinstance(reply, Reply) for reply in replies)
    assert [reply.ready for reply in replies if reply.ready] == [[("j", None)]]
    assert len(commits) < 10
    claim = await store.claim(run_id, "j", owner="me", lease=60)
    assert claim.slots == {str(number): number for number in range(40)}


async def test_not_too_many_together(store: PostgresStore, sql: Sql, commits: list[bytes]) -> None:
    run_id = await begin(store, step("a"))
    commits.clear()
    await together([store.emit(run_id, []) for _ in range(3 * LARGEST_BATCH)])
    assert 3 <= len(commits) <= 6


async def test_runs_do_not_wait_for_each_other(store: PostgresStore, sql: Sql) -> None:
    one, two = await begin(store, step("a")), await begin(store, step("a"))
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run WHERE id = %s FOR UPDATE", one)
    async with anyio.create_task_group() as group:
        for _ in range(20):  # more than there are connections
            group.start_soon(store.emit, one, [])
        await anyio.sleep(0.1)
        with anyio.fail_after(5):
            await take(store, two, "a")
        sql("COMMIT")


async def test_a_refusal_is_nobody_elses(store: PostgresStore) -> None:
    run_id = await begin(store, step("a"), step("b"))
    task = await take(store, run_id, "a")
    answers = await together(
        [
            store.emit(run_id, []),
            store.resume(run_id, "b", 1),
            store.commit(outcome(task, TaskStatus.COMPLETED, step("c"))),
            store.resume(run_id, "b", 2),
            store.claim(run_id, "b", owner="me", lease=60),
        ]
    )
    assert isinstance(answers[1], NotSuspended)
    assert isinstance(answers[3], NotSuspended)
    assert answers[2].applied
    assert answers[4].task is not None
    assert [found.address for found in await store.tasks(run_id)] == ["a", "b", "c"]


async def test_an_error_of_the_server_is_nobody_elses(store: PostgresStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"), step("b"), step("c"))
    tasks = [await take(store, run_id, address) for address in "abc"]
    sql("ALTER TABLE drawbar.task ADD CONSTRAINT no_bad CHECK (address <> 'bad')")
    names = ["x", "bad", "y"]
    answers = await together(
        [store.emit(run_id, [])] + [complete(store, one, step(name)) for one, name in zip(tasks, names, strict=True)]
    )
    assert isinstance(answers[2], StoreError)
    assert answers[1].applied
    assert answers[3].applied
    assert [found.address for found in await store.tasks(run_id)] == ["a", "b", "c", "x", "y"]


async def test_who_is_cancelled_while_waiting_leaves_the_others(store: PostgresStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run FOR UPDATE")
    ended: list[int] = []

    async def emit(number: int) -> None:
        await store.emit(run_id, [])
        ended.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(emit, 0)
        await anyio.sleep(0.1)
        async with anyio.create_task_group() as cancelled:
            cancelled.start_soon(emit, 1)
            await anyio.sleep(0.1)
            group.start_soon(emit, 2)
            cancelled.cancel_scope.cancel()
        sql("COMMIT")
    assert ended == [0, 2]
    assert store._process().batcher._queues == {}


async def test_who_is_cancelled_while_leading_hands_over(postgres_url: str, stores: Stores, sql: Sql) -> None:
    store = stores(postgres_url, pool_size=1)
    await store.open()
    run_id, other = await begin(store, step("a")), await begin(store, step("a"))
    ended: list[int] = []
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run FOR UPDATE")

    async def emit(number: int) -> None:
        await store.emit(run_id, [])
        ended.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(store.emit, other, [])  # has the only thread
        await anyio.sleep(0.1)
        async with anyio.create_task_group() as cancelled:
            cancelled.start_soon(emit, 1)  # leads, and waits for a thread
            await anyio.sleep(0.1)
            group.start_soon(emit, 2)
            await anyio.sleep(0.1)
            cancelled.cancel_scope.cancel()
        sql("COMMIT")
    assert ended == [2]
    assert store._process().batcher._queues == {}


async def test_a_batcher_by_itself() -> None:
    """Every job that is not cancelled is carried out once, and every caller is woken."""
    from random import Random

    dice = Random(4)
    batcher = Batcher()
    carried: list[BatchJob] = []
    at_work = 0

    async def one(scope: anyio.CancelScope) -> None:
        nonlocal at_work
        with scope:
            await anyio.sleep(dice.random() * 0.05)
            job = BatchJob(lambda rows: None)
            jobs = await batcher.take_turn("r", job)
            if jobs:
                try:
                    assert jobs[0] is job
                    await anyio.sleep(dice.random() * 0.002)  # for a thread
                    with anyio.CancelScope(shield=True):
                        at_work += 1
                        assert at_work == 1
                        await anyio.sleep(dice.random() * 0.002)
                        carried.extend(jobs)
                        for done in jobs:
                            done.done = True
                        at_work -= 1
                finally:
                    batcher.end_turn("r", jobs)
            assert job.done
            finished.append(job)

    finished: list[BatchJob] = []
    scopes = [anyio.CancelScope() for _ in range(500)]
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(one, scope)
            for scope in dice.sample(scopes, 150):
                await anyio.sleep(dice.random() * 0.0005)
                scope.cancel()
    assert len(set(map(id, carried))) == len(carried)
    assert len(finished) >= 350
    assert {id(job) for job in finished} <= {id(job) for job in carried}
    assert batcher._queues == {}
