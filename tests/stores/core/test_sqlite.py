"""The store in an SQLite file: the file, its URL, and what concerns one process."""

# ruff: noqa: ASYNC240 - a test may look at a file

import os
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from drawbar.conformance.store_suite.kit import (
    begin,
    commit,
    complete,
    counts,
    event,
    fan,
    happened,
    look,
    outcome,
    step,
    suspend,
    take,
    together,
)
from drawbar.errors import NotSuspended, SettingsError, StoreError, StoreUnavailable, StoreVersionError
from drawbar.records import Finish, RunStatus, TaskStatus, Transition
from drawbar.stores.jobs import Job
from drawbar.stores.sqlite import SqliteStore, plugin, schema
from drawbar.stores.sqlite import file as file_module
from drawbar.stores.sqlite.reads import SqliteReader
from drawbar.stores.sqlite.schema import VERSION, Options

pytestmark = pytest.mark.anyio


def make(path: Path, query: str = "") -> SqliteStore:
    store = plugin.create(f"sqlite:///{path}{query}")
    assert isinstance(store, SqliteStore)
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = make(path)
    await store.open()
    yield store
    await store.close()


# The URL


async def test_a_relative_path_is_where_the_store_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = plugin.create("sqlite:///some%20runs.db")
    monkeypatch.chdir("/")

    await store.open()
    await store.close()

    assert (tmp_path / "some runs.db").exists()


def test_making_a_store_touches_nothing(path: Path) -> None:
    make(path)

    assert not path.exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://host/x.db", "sqlite:///:memory:"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:///relative\.db"):
        plugin.create(url)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("synchronous=SOMETIMES", "expected one of OFF, NORMAL, FULL, EXTRA"),
        ("busy=long", "option 'busy' of the store's URL is 'long': expected seconds, 0 or more"),
        ("mode=ro", "the SQLite store has no option 'mode'"),
    ],
)
def test_a_wrong_option_is_refused(query: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        plugin.create(f"sqlite:///x.db?{query}")


@pytest.mark.parametrize(("query", "expected"), [("", 1), ("?synchronous=full", 2)])
async def test_synchronous_is_an_option(path: Path, query: str, expected: int) -> None:
    store = make(path, query)
    await store.open()

    (found,) = store._connections()._writer.execute("PRAGMA synchronous").fetchone()

    await store.close()
    assert found == expected


# The file


async def test_init_says_what_it_did(path: Path) -> None:
    store = make(path)

    first, second = await store.init(), await store.init()

    await store.close()
    assert first == f"{path}: schema version {VERSION}, created"
    assert second == f"{path}: schema version {VERSION}, is there"


async def test_runs_outlive_the_store(path: Path) -> None:
    store = make(path)
    run_id = await begin(store, step("a", {"x": "y" * 5000}), state={"s": 1})
    await suspend(store, run_id, "a", "ask")
    await store.close()

    again = make(path)
    await again.resume(run_id, "a", "answer")
    task = await take(again, run_id, "a")

    assert (task.input, task.payload, task.data) == ({"x": "y" * 5000}, "ask", ("answer",))
    await again.close()


async def test_a_store_that_was_closed_opens_again(store: SqliteStore) -> None:
    run_id = await begin(store, step("a"))
    await store.close()

    assert await store.load(run_id) is not None


async def test_many_may_create_the_file_at_once(path: Path) -> None:
    stores = [make(path) for _ in range(8)]

    assert await together([store.open() for store in stores]) == [None] * 8

    run_id = await begin(stores[0], step("a"))
    for store in stores:
        assert await store.load(run_id) is not None
        await store.close()


async def test_another_programs_database_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    with pytest.raises(StoreVersionError, match=f"{path} is a database of another program"):
        await make(path).open()


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.write_text("Dear diary, " * 500)

    with pytest.raises(StoreVersionError, match=f"{path}: this file is not an SQLite database"):
        await make(path).open()

    assert path.read_text().startswith("Dear diary")


async def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    old = sqlite3.connect(path)
    added = ("places", "timed", "suspended", "waits_at", "turn", "plan")
    for column in added:
        assert f"    {column} " in schema.SCHEMA
    for statement in schema.SCHEMA.split(";"):
        if "task_resumed" not in statement:
            old.execute(statement.replace("(plan, wake_at)", "(wake_at)"))
    old.execute("INSERT INTO run VALUES (1, 'old', 'flow', 'print', 'pending', 1, 0, 0, NULL, 0, NULL, NULL)")
    columns, values = "run, address, plan, kind, status, wake_at", "1, 'a', '', 'step', 'scheduled', 0"
    old.execute(f"INSERT INTO task ({columns}) VALUES ({values})")
    for column in added:
        old.execute(f"ALTER TABLE task DROP COLUMN {column}")
    old.execute(f"PRAGMA application_id = {schema.APPLICATION}")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()

    store = make(path)
    await store.open()
    run_id = await begin(store, step("a"))
    await complete(store, await take(store, run_id, "a"), fan("j", 2, 1))
    await suspend(store, run_id, "j[0]")

    assert (await look(store, run_id, "j[1]")).status is TaskStatus.SCHEDULED
    assert [message.run_id for message in (await store.due(plans=["print"])).messages] == ["old"]
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (VERSION,)


async def test_another_versions_file_is_left_alone(path: Path) -> None:
    store = make(path)
    await store.open()
    await store.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 7")
    other.close()

    with pytest.raises(StoreVersionError, match=f"schema version 7, this one works with {VERSION}"):
        await make(path).open()


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"create the folder {tmp_path}/missing"):
        await make(tmp_path / "missing" / "runs.db").open()


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="this is a folder"):
        await make(tmp_path).open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
async def test_a_file_that_may_not_be_written_is_named(path: Path) -> None:
    path.touch(mode=0o400)

    with pytest.raises(StoreUnavailable, match="may write the file"):
        await make(path).open()


async def test_a_disk_that_is_full_is_an_error_and_nothing_is_lost(store: SqliteStore) -> None:
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")
    writer = store._connections()._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreUnavailable, match="make room on the disk"):
        await complete(store, task, step("b", "x" * 100_000), output=1)

    writer.execute("PRAGMA max_page_count = 1000000")
    assert len(await happened(store, run_id)) == 3
    await complete(store, task, step("b"), output=1)
    assert await counts(store, run_id) == (1, 0, 0)


LOG_FILLS_THE_DISK = """
import resource, signal, sqlite3, sys
from pathlib import Path
import anyio
from drawbar.errors import StoreUnavailable
from drawbar.conformance.store_suite.kit import begin, complete, step, take
from drawbar.stores.sqlite import plugin

async def main(path):
    store = plugin.create(f"sqlite:///{path}")
    await store.open()
    run_id = await begin(store, step("step-0"))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM run").fetchall()  # as long as it reads, the log cannot begin anew
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    number = 0
    try:
        while True:
            task = await take(store, run_id, f"step-{number}")
            await complete(store, task, step(f"step-{number + 1}", "x" * 50_000), output=1)
            number += 1
    except StoreUnavailable as error:
        assert "make room" in str(error), error
    assert number > 3, number
    reader.execute("COMMIT")
    again = await begin(store, step("a"))
    await complete(store, await take(store, again, "a"), step("b", "x" * 50_000), output=1)
    await store.close()
    print("healed")

anyio.run(main, sys.argv[1])
"""


async def test_a_disk_that_its_log_has_filled_heals(path: Path) -> None:
    """A limit on the size of files stands for the disk: the log reaches it first."""
    found = await anyio.run_process([sys.executable, "-c", LOG_FILLS_THE_DISK, str(path)], check=False)

    assert (found.stdout.decode(), found.stderr.decode()) == ("healed\n", "")


# The file is deleted, replaced or damaged


def due_for_a_look(store: SqliteStore) -> None:
    """Let the next call look at the file, as it does once a second."""
    store._connections()._next_look = 0.0


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_that_was_deleted_is_not_written_any_more(store: SqliteStore, path: Path, suffix: str) -> None:
    run_id = await begin(store, step("a"))
    gone = Path(f"{path}{suffix}")
    kept = gone.with_suffix(".kept")
    due_for_a_look(store)
    gone.rename(kept)

    with pytest.raises(StoreUnavailable, match="deleted while it was open"):
        await begin(store, step("b"))
    with pytest.raises(StoreUnavailable, match="deleted while it was open"):
        await store.due()
    assert not gone.exists()

    kept.rename(gone)  # moved back, nothing is lost
    assert (await store.load(run_id)) is not None
    await take(store, run_id, "a")


async def test_a_file_that_was_replaced_is_not_written_any_more(store: SqliteStore, path: Path) -> None:
    await begin(store, step("a"))
    due_for_a_look(store)
    path.rename(path.with_suffix(".kept"))
    path.write_bytes(b"")

    with pytest.raises(StoreUnavailable, match="replaced while it was open"):
        await begin(store, step("b"))


async def test_a_look_at_the_file_costs_one_call_a_second(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    identity = store._connections()._identity

    def look_at(options: Options) -> Any:
        looks.append(options)
        return identity

    monkeypatch.setattr(file_module, "_identity", look_at)
    for _ in range(50):
        await begin(store, step("a"))

    assert len(looks) <= 5


async def test_a_checkpoint_creates_no_file(store: SqliteStore, path: Path) -> None:
    file = store._connections()
    path.rename(path.with_suffix(".kept"))

    file._checkpoint()

    assert not path.exists()


async def test_a_damaged_file_is_an_error_that_does_not_pass(store: SqliteStore, path: Path) -> None:
    for number in range(50):
        await begin(store, step(f"step-{number}", "x" * 500))
    await store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(bytes(content))

    with pytest.raises(StoreError, match="the file is damaged, and waiting does not mend it") as raised:
        await begin(store, step("a"))
    assert not isinstance(raised.value, StoreUnavailable)
    with pytest.raises(StoreError, match="the file is damaged, and waiting does not mend it"):
        await store.runs()


# Values


async def test_a_large_value_is_written_once(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")
    value = {"x": "y" * 50_000}

    reply = await complete(store, task, step("b", value), output=value, claim=True)

    assert reply.next is not None
    reader = sqlite3.connect(path)
    assert reader.execute("SELECT count(*) FROM big").fetchone() == (1,)
    reader.close()
    assert (await look(store, run_id, "a")).output == (await look(store, run_id, "b")).input == value


async def test_purging_leaves_nothing(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a", "x" * 5000), state={"s": 1}, metadata={"m": 1})
    await store.send_event(run_id, "go", 1)
    await complete(store, await take(store, run_id, "a"), Finish(RunStatus.COMPLETED))

    assert await store.purge(-1) == 1

    reader = sqlite3.connect(path)
    for table in ("run", "run_values", "state", "task", "slot", "mail", "events", "big"):
        assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    reader.close()


# Others who write


async def test_a_write_waits_for_anothers_without_holding_up_the_loop(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.005)
            ticks += 1

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            group.start_soon(store.emit, run_id, [event("e")])
            await anyio.sleep(0.2)
            assert ticks > 10
            assert len(await happened(store, run_id)) == 2
            other.execute("COMMIT")
            await store.wait(run_id, 2, 5)
            group.cancel_scope.cancel()
    other.close()
    assert len(await happened(store, run_id)) == 3


async def test_it_does_not_wait_for_ever(path: Path) -> None:
    store = make(path, "?busy=0.2")
    run_id = await begin(store, step("a"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match=r"more than 0\.2 s"):
        await store.emit(run_id, [event("e")])

    other.close()
    await store.emit(run_id, [event("e")])
    assert len(await happened(store, run_id)) == 3
    await store.close()


async def test_what_gathered_meanwhile_goes_into_one_transaction(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, *[step(f"a{number}") for number in range(30)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    statements: list[str] = []
    store._connections()._writer.set_trace_callback(statements.append)
    results: list[object] = []

    async def work() -> None:
        results.extend(
            await together(
                [store.claim(run_id, f"a{number}", owner="me", lease=60) for number in range(30)]
                + [store.resume(run_id, "a0", 1), store.emit(run_id, [event("e")])]
            )
        )

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.sleep(0.05)
        other.execute("COMMIT")
    other.close()

    assert sum(statement == "COMMIT" for statement in statements) == 1
    assert isinstance(results[30], NotSuspended)
    assert len(await happened(store, run_id)) == 62
    assert await counts(store, run_id) == (30, 0, 0)


async def test_in_one_transaction_each_has_its_own_error(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"), step("b"))
    one, two = await take(store, run_id, "a"), await take(store, run_id, "b")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results: list[object] = []

    async def work() -> None:
        results.extend(
            await together([complete(store, one, output=object()), complete(store, two, step("c"), output=2)])
        )

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.sleep(0.05)
        other.execute("COMMIT")
    other.close()

    assert isinstance(results[0], Exception)
    assert not isinstance(results[1], Exception)
    assert list((await store.outputs(run_id, ["a", "b"])).values()) == [2]
    assert await counts(store, run_id) == (2, 0, 0)
    await happened(store, run_id)


async def test_in_one_transaction_a_refused_commit_says_nothing_about_the_next(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"), step("b"))
    one, two = await take(store, run_id, "a"), await take(store, run_id, "b")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    late = outcome(one, TaskStatus.COMPLETED, step("j[1]"))
    late.attempt = 7  # looks whether j[1] is there, and is refused
    opened = outcome(one, TaskStatus.COMPLETED, fan("j", 2, 1))
    taken = outcome(two, TaskStatus.COMPLETED, step("j[1]"))
    replies: list[Any] = []

    async def commit_one(transition: Transition) -> None:
        replies.append((transition is late, await store.commit(transition)))

    async with anyio.create_task_group() as group:
        for number, transition in enumerate((late, opened, taken), 1):
            group.start_soon(commit_one, transition)
            while len(store._connections().pending) < number:  # noqa: ASYNC110 - in this order
                await anyio.sleep(0.001)
        other.execute("COMMIT")
    other.close()

    assert [reply.applied is not refused for refused, reply in replies] == [True] * 3
    assert (await look(store, run_id, "j[1]")).status is TaskStatus.HELD
    assert await counts(store, run_id) == (1, 0, 0)


async def test_others_who_give_up_meanwhile_take_nobodys_turn(store: SqliteStore, path: Path) -> None:
    class Raced(deque[Job]):
        """As it looks when another thread takes its job away at the same moment."""

        def __len__(self) -> int:
            return super().__len__() + 1

        def remove(self, job: Job) -> None:
            raise ValueError

    run_id = await begin(store, step("a"))
    store._connections().pending = Raced()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with anyio.move_on_after(0.05):
        await store.emit(run_id, [event("e")])
    async with anyio.create_task_group() as group:
        group.start_soon(store.emit, run_id, [event("f")])
        await anyio.sleep(0.05)
        other.execute("COMMIT")
    other.close()

    assert ("f", None) in await happened(store, run_id)


async def test_who_is_cancelled_while_waiting_has_done_nothing(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with anyio.move_on_after(0.05):
        await store.emit(run_id, [event("e")])

    other.close()
    await store.emit(run_id, [event("f")])
    assert [kind for kind, _ in await happened(store, run_id, 2)] == ["f"]


async def test_a_commit_that_is_torn_apart_leaves_no_transaction_open(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store._connections()._rows, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await complete(store, task, step("b"))
    monkeypatch.undo()

    assert list(await store.outputs(run_id, ["a"])) == []
    await complete(store, task, step("b"))
    assert await counts(store, run_id) == (1, 0, 0)


async def test_threads_lose_and_double_nothing(store: SqliteStore) -> None:
    run_id = await begin(store, *[step(f"a{number}") for number in range(80)])

    async def work(first: int) -> None:
        for number in range(first, 80, 4):
            task = await take(store, run_id, f"a{number}")
            await complete(store, task, step(f"b{number}"), events=[event("e")])

    threads = [threading.Thread(target=anyio.run, args=(work, first)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)

    assert await counts(store, run_id) == (80, 0, 0)
    assert len(await happened(store, run_id)) == 1 + 80 * 4


async def test_a_commit_in_another_event_loop_ends_a_wait(store: SqliteStore) -> None:
    run_id = await begin(store, step("a"))
    seqs: list[int] = []

    async def wait() -> None:
        seqs.append(await store.wait(run_id, 2, 60))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.05)
            await anyio.to_thread.run_sync(anyio.run, store.emit, run_id, [event("e")])

    assert seqs == [3]
    assert store._connections().waiters == {}


async def test_a_commit_of_another_store_ends_a_wait(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"))
    other = make(path)
    await other.open()
    times: list[float] = []

    async def wait() -> None:
        await store.wait(run_id, 2, 60)
        times.append(anyio.current_time())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.3)
            await other.emit(run_id, [event("e")])
            sent = anyio.current_time()

    assert times[0] - sent < 1
    await other.close()


async def test_a_rest_that_is_over_at_once_is_waited_for_anew(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")
    read, looks = store._ask, 0

    async def look_again(query: Callable[..., Any], *args: Any) -> Any:
        nonlocal looks
        looks += query is SqliteReader.find_run
        return await read(query, *args)

    monkeypatch.setattr(store, "_ask", look_again)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: store.wait(run_id, 0, 0.6, settled=True))
        await anyio.sleep(0.1)
        await commit(store, task, TaskStatus.SUSPENDED)
        await store.resume(run_id, "a", None)  # before those who wait come to look

    assert looks < 50


async def test_who_waits_when_the_store_is_closed_is_told(store: SqliteStore) -> None:
    run_id = await begin(store, step("a"))

    async def wait() -> None:
        with pytest.raises(StoreUnavailable, match="it was closed"):
            await store.wait(run_id, 2, 60)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.05)
            await store.close()

    assert store._file is None


async def test_the_log_does_not_grow_for_ever(store: SqliteStore, path: Path) -> None:
    run_id = await begin(store, step("a"))
    for _ in range(4000):
        await store.emit(run_id, [event("e", data="x" * 100)])

    assert path.with_name(path.name + "-wal").stat().st_size < 40_000_000
