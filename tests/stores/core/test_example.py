"""The example of a third party's store passes the suite, and keeps what its README promises."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from drawbar_lmdb import LmdbStore, plugin

from drawbar.conformance.store_suite import *  # noqa: F403
from drawbar.conformance.store_suite.kit import begin, complete, counts, event, happened, step, take
from drawbar.errors import SettingsError, StoreUnavailable
from drawbar.plugins import load_store
from drawbar.records import Finish, RunStatus
from tests.support.source import ROOT, modules

EXAMPLE = ROOT / "examples" / "stores" / "lmdb"
PUBLIC = ("drawbar.stores", "drawbar.records", "drawbar.errors")
MOST_LINES = 325


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.lmdb"


def make(path: Path, query: str = "") -> LmdbStore:
    store = load_store(f"lmdb:///{path}{query}")
    assert isinstance(store, LmdbStore)
    return store


@pytest.fixture
async def store(path: Path) -> AsyncIterator[LmdbStore]:
    store = make(path)
    await store.open()
    yield store
    await store.close()


@pytest.mark.anyio
async def test_runs_outlive_the_store(path: Path) -> None:
    one = make(path)
    run_id = await begin(one, step("a"))
    await one.close()
    assert not (await happened(make(path), run_id))[2:]


@pytest.mark.anyio
async def test_two_stores_of_a_process_share_the_file(path: Path) -> None:
    one, two = make(path), make(path)
    run_id = await begin(one, step("a"))

    await take(two, run_id, "a")
    await one.close()

    assert await two.load(run_id) is not None


@pytest.mark.anyio
async def test_a_commit_of_another_store_ends_a_wait(path: Path) -> None:
    one, two = make(path), make(path)
    run_id = await begin(one, step("a"))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(one.wait, run_id, 2, 60)
            await two.emit(run_id, [event("e")])


@pytest.mark.anyio
async def test_events_are_read_from_any_number_on(store: LmdbStore) -> None:
    run_id, other = await begin(store, step("a")), await begin(store, step("a"))
    for name in ("first", "second", "third"):
        await store.emit(run_id, [event(name), event(name)])
    await store.emit(other, [event("other")])

    for after in range(9):
        numbers = [one.seq for one in await store.events(run_id, after)]
        assert numbers == list(range(after + 1, 9))
    assert [one.seq for one in await store.events(run_id, 3, 2)] == [4, 5]


@pytest.mark.anyio
async def test_a_purge_leaves_nothing(store: LmdbStore, path: Path) -> None:
    run_id = await begin(store, step("a"))
    await store.send_event(run_id, "kept", 1)
    await complete(store, await take(store, run_id, "a"), Finish(RunStatus.COMPLETED))

    assert await store.purge(-1.0) == 1
    with store._file().begin() as transaction:
        assert transaction.stat()["entries"] == 0


@pytest.mark.anyio
async def test_a_file_that_is_full_is_an_error_and_nothing_is_lost(path: Path) -> None:
    store = make(path, "?size=1")
    run_id = await begin(store, step("a"))
    with pytest.raises(StoreUnavailable, match=r"larger size \(\?size=MiB\)"):
        await store.emit(run_id, [event("e", data={"x": "x" * 2_000_000})])

    await take(store, run_id, "a")
    assert len(await happened(store, run_id)) == 3


@pytest.mark.anyio
async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"not there/runs\.lmdb: .*check that its folder is there"):
        await make(tmp_path / "not there" / "runs.lmdb").open()


@pytest.mark.parametrize("url", ["lmdb://", "lmdb:///", "lmdb://host/x", "lmdb:///x?size=0", "lmdb:///x?mode=ro"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        plugin.create(url)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_forked_child_opens_the_file_anew(path: Path) -> None:
    program = (
        "import os, sys, anyio\n"
        "from drawbar_lmdb import plugin\n"
        "from drawbar.records import *\n"
        "store = plugin.create(sys.argv[1])\n"
        "anyio.run(store.create, NewRun('r', 'flow', 'print', None, []))\n"
        "if not os.fork():\n"
        "    anyio.run(store.emit, 'r', [NewEvent('child')])\n"
        "    os._exit(0)\n"
        "assert os.wait()[1] == 0\n"
        "print(anyio.run(store.emit, 'r', [NewEvent('parent')]))\n"
    )
    command = [sys.executable, "-c", program, f"lmdb:///{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)

    assert done.stdout == "3\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_process_that_is_killed_leaves_whole_commits(path: Path) -> None:
    store = make(path)
    run_id = anyio.run(begin, store, step("a"))
    program = (
        "import sys, anyio\n"
        "from drawbar_lmdb import plugin\n"
        "from drawbar.records import NewEvent\n"
        "store = plugin.create(sys.argv[1])\n"
        "async def emit():\n"
        "    while True:\n"
        "        print(await store.emit(sys.argv[2], [NewEvent('one'), NewEvent('two')]), flush=True)\n"
        "anyio.run(emit)\n"
    )
    command = [sys.executable, "-c", program, f"lmdb:///{path}", run_id]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            seen = [int(process.stdout.readline()) for _ in range(20)]
            os.kill(process.pid, signal.SIGKILL)
        types = [kind for kind, _ in anyio.run(happened, store, run_id)]
        assert len(types) >= seen[-1]
        assert types.count("one") == types.count("two")

    anyio.run(take, store, run_id, "a")
    anyio.run(counts, store, run_id)


def test_it_uses_what_third_parties_may_use() -> None:
    targets = [one.target for module in modules(EXAMPLE) for one in module.imports if one.reaches("drawbar")]

    assert [target for target in targets if not target.startswith(PUBLIC)] == []


def test_it_is_short_enough_to_be_read_at_once() -> None:
    lines = {str(module): module.code_lines for module in modules(EXAMPLE)}

    assert sum(lines.values()) <= MOST_LINES, lines
