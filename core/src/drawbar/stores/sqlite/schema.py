"""The file of the SQLite store: its schema, and opening and checking a connection."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drawbar.errors import StoreError, StoreUnavailable, StoreVersionError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 3
"""The version of the schema, kept in `PRAGMA user_version`."""
APPLICATION = 0x44524157
"""`DRAW`, kept in `PRAGMA application_id`: marks a file as a Drawbar store."""

PAGE = 2048
"""Bytes of a page. A step writes about five pages, each copied and summed whole; this size was measured best."""
LOG = 8000
"""Pages of the log at which a commit moves it to the file by itself, see `drawbar.stores.sqlite.file`."""
SEQ = "coalesce((SELECT first + count - 1 FROM events WHERE events.run = run.n ORDER BY first DESC LIMIT 1), 0)"
"""The number of a run's newest event. It is not in the run's row, so that most steps need not write that row."""

# The conditions of partial indexes are as simple as possible, because every step that ends has to check them (an IN
# costs as much as the write). So the `wake_at` of a cancelled task, which a retry may need, moves to `kept_wake_at`,
# and only unfinished tasks have a `wake_at`.
#
# A task has the fingerprint of its run as its `plan`: a ticker finds what is due for its own workers in `task_due`, and
# reads nothing of other applications.
#
# The big values of runs and tasks are apart from the columns that change with every step: SQLite rewrites a row as a
# whole. A task's values are in its row while they are small (see `SqliteRows`), because a row of their own would cost
# more than the rewriting.
SCHEMA = """
CREATE TABLE run (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL,
    active INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    suspended INTEGER NOT NULL,
    forked_from TEXT,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL
);
CREATE INDEX run_workflow ON run (workflow_id);
CREATE INDEX run_finished ON run (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE run_values (
    run INTEGER PRIMARY KEY,
    input TEXT,
    output TEXT,
    error TEXT,
    metadata TEXT
);
CREATE TABLE state (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE task (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    address TEXT NOT NULL,
    plan TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    input TEXT,
    output TEXT,
    error TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    queue TEXT,
    fan TEXT,
    parent TEXT,
    event TEXT,
    payload TEXT,
    data TEXT,
    wake_at REAL,
    kept_wake_at REAL,
    delay REAL,
    was TEXT,
    owner TEXT,
    dispatches INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    remaining INTEGER NOT NULL DEFAULT 0,
    started_at REAL,
    finished_at REAL,
    places INTEGER NOT NULL DEFAULT 0,
    timed INTEGER NOT NULL DEFAULT 0,
    suspended INTEGER NOT NULL DEFAULT 0,
    waits_at TEXT,
    turn INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run, address)
);
CREATE INDEX task_due ON task (plan, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX task_held ON task (run, fan) WHERE status = 'held';
CREATE INDEX task_free ON task (run, parent) WHERE status = 'scheduled';
CREATE INDEX task_waiting ON task (run, event) WHERE status = 'waiting';
CREATE INDEX task_resumed ON task (run, waits_at, turn) WHERE status = 'resumed';
CREATE TABLE slot (
    run INTEGER NOT NULL,
    join_address TEXT NOT NULL,
    slot TEXT NOT NULL,
    value TEXT,
    PRIMARY KEY (run, join_address, slot)
) WITHOUT ROWID;
CREATE TABLE mail (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    event TEXT NOT NULL,
    payload TEXT
);
CREATE INDEX mail_run ON mail (run, event);
CREATE TABLE events (
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    at REAL NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, first)
) WITHOUT ROWID;
CREATE TABLE big (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX big_run ON big (run);
"""

MIGRATIONS = {
    1: """
ALTER TABLE task ADD COLUMN places INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN timed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN waits_at TEXT;
ALTER TABLE task ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
CREATE INDEX task_resumed ON task (run, waits_at, turn) WHERE status = 'resumed';
""",
    2: """
ALTER TABLE task ADD COLUMN plan TEXT NOT NULL DEFAULT '';
UPDATE task SET plan = (SELECT fingerprint FROM run WHERE run.n = task.run);
DROP INDEX task_due;
CREATE INDEX task_due ON task (plan, wake_at) WHERE wake_at IS NOT NULL;
""",
}
"""The statements that bring the schema from a version to the next."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a store's URL.

    Attributes:
        path: The file.
        synchronous: SQLite's setting, see https://www.sqlite.org/pragma.html#pragma_synchronous. With NORMAL, a commit
            survives the death of any process; with FULL, a power cut too.
        busy: Seconds for which a write waits for the writes of other processes.
    """

    path: Path
    synchronous: str = "NORMAL"
    busy: float = 10.0


def is_busy(error: sqlite3.Error) -> bool:
    """Return True if the error says that another process is writing."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def too_busy(options: Options) -> StoreUnavailable:
    """Return the error for a file that other processes do not stop writing."""
    return StoreUnavailable(
        f"store {options.path}: another process has been writing for more than {options.busy:g} s; is one "
        "stuck? (how long to wait is the option busy=SECONDS of the store's URL)"
    )


def is_full(error: sqlite3.Error) -> bool:
    """Return True if the error says that the disk, or the space that this process may use, is full."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE


def is_damaged(error: sqlite3.Error) -> bool:
    """Return True if the error says that the content of the file is damaged: it does not pass by waiting."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def failed(options: Options, error: sqlite3.Error) -> StoreError:
    """Return the error for a file that cannot be read or written, with what to do."""
    path = options.path
    if is_damaged(error):
        return StoreError(
            f"store {path}: {error}; the file is damaged, and waiting does not mend it: stop its processes, and put a "
            "copy from a backup in its place, or save what can be read with `sqlite3 FILE .recover`"
        )
    if not path.parent.is_dir():
        todo = f"create the folder {path.parent}, or name another file in the store's URL"
    elif path.is_dir():
        todo = "this is a folder: name a file in it"
    elif is_busy(error):
        return too_busy(options)
    elif is_full(error):
        todo = "make room on the disk of the file; nothing that was committed is lost, and the store goes on by itself"
    else:
        todo = "check that this user may write the file and its folder, and that the disk is not full"
    return StoreUnavailable(f"store {path}: {error}; {todo}")


def connect(options: Options, *, create: bool = True) -> sqlite3.Connection:
    """Open the file.

    Args:
        options: The options of the store's URL.
        create: True to create the file and its schema where there is none.

    Raises:
        StoreUnavailable: The file cannot be opened or written.
        StoreVersionError: The file is another program's, or of another version.
    """
    try:
        connection = sqlite3.connect(
            f"{options.path.as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=options.busy,  # for opening only: no call waits inside SQLite afterwards
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        raise failed(options, error) from error
    try:
        _prepare(connection, options)
    except sqlite3.DatabaseError as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise StoreVersionError(
                f"store {options.path}: this file is not an SQLite database; name another file in the store's URL"
            ) from error
        raise failed(options, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, options: Options) -> None:
    found = _version(connection, options)
    if found == 0:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
    if found < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = _version(connection, options)  # another process may have been faster
            while found < VERSION:
                for statement in (MIGRATIONS[found] if found else SCHEMA).split(";"):
                    connection.execute(statement)
                found = found + 1 if found else VERSION
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG}")
    connection.execute(f"PRAGMA synchronous = {options.synchronous}")
    connection.execute("PRAGMA busy_timeout = 0")


def _version(connection: sqlite3.Connection, options: Options) -> int:
    """Return the version of the file's schema, from 1; 0 if the file is empty.

    Raises:
        StoreVersionError: The file is another program's, or of a version that this one cannot bring up to date.
    """
    # In one statement, which sees one state of the file: another process may be creating it.
    application, version, tables = connection.execute(
        "SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id a, pragma_user_version v"
    ).fetchone()
    if application == APPLICATION and (version == VERSION or version in MIGRATIONS):
        return int(version)
    if application == APPLICATION:
        raise StoreVersionError(
            f"store {options.path} has schema version {version}, this one works with {VERSION}: use "
            "the Drawbar that wrote it until its runs have ended, or name another file in the store's URL"
        )
    if application or tables:
        raise StoreVersionError(
            f"store {options.path} is a database of another program: name another file in the store's URL"
        )
    return 0
