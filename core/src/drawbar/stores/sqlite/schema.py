"""The file of the SQLite store: its schema, and how a connection to it is opened and checked."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drawbar.errors import StoreUnavailable, StoreVersionError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
"""Of the schema, kept in `PRAGMA user_version`."""
APPLICATION = 0x44524157
"""`DRAW`, kept in `PRAGMA application_id`: says that a file is a store of Drawbar's."""

PAGE = 2048
"""Bytes. A step writes some five pages, each copied and summed whole: measured best for rows of this size."""
LOG = 8000
"""Pages in the log at which a commit itself moves it to the file, see `drawbar.stores.sqlite.file`."""
SEQ = "coalesce((SELECT first + count - 1 FROM events WHERE events.run = run.n ORDER BY first DESC LIMIT 1), 0)"
"""Number of a run's newest event. It is not in the run's row, so that most steps need not write that."""

# Partial indexes have the simplest of conditions, which every step that ends has to check (an IN costs as
# much as the write). So a cancelled task's `wake_at`, which a retry may need, moves to `kept_wake_at`, and
# only unfinished tasks have one.
#
# A run's and a task's big values are apart from what changes with every step: SQLite rewrites a row as a
# whole. Those of a task are in its row while they are small (see `SqliteRows`), because a row of their own
# would cost more than the rewriting.
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
    UNIQUE (run, address)
);
CREATE INDEX task_due ON task (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX task_held ON task (run, fan) WHERE status = 'held';
CREATE INDEX task_free ON task (run, parent) WHERE status = 'scheduled';
CREATE INDEX task_waiting ON task (run, event) WHERE status = 'waiting';
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


@dataclass(frozen=True, slots=True)
class Options:
    """What a URL says of the file and how to use it.

    Attributes:
        path: The file.
        synchronous: SQLite's setting: with NORMAL, what is committed survives the death of any process; with
            FULL, a power cut too.
        busy: Seconds for which a write waits for the writes of others.
    """

    path: Path
    synchronous: str = "NORMAL"
    busy: float = 10.0


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else is just writing."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def too_busy(options: Options) -> StoreUnavailable:
    """The error for a file that others do not stop writing."""
    return StoreUnavailable(
        f"store {options.path}: another process has been writing for more than {options.busy:g} s; is one "
        "stuck? (how long to wait is the option busy=SECONDS of the store's URL)"
    )


def unavailable(options: Options, error: sqlite3.Error) -> StoreUnavailable:
    """The error for a file that cannot be read or written, with what to do."""
    path = options.path
    if not path.parent.is_dir():
        todo = f"create the folder {path.parent}, or name another file in the store's URL"
    elif path.is_dir():
        todo = "this is a folder: name a file in it"
    elif is_busy(error):
        return too_busy(options)
    else:
        todo = "check that this user may write the file and its folder, and that the disk is not full"
    return StoreUnavailable(f"store {path}: {error}; {todo}")


def connect(options: Options) -> sqlite3.Connection:
    """Opens the file, creating it and its schema where there is none.

    Raises:
        StoreUnavailable: It cannot be opened or written.
        StoreVersionError: It is another program's, or another version's.
    """
    try:
        connection = sqlite3.connect(
            options.path,
            timeout=options.busy,  # for opening only: nobody waits inside SQLite afterwards
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        raise unavailable(options, error) from error
    try:
        _prepare(connection, options)
    except sqlite3.DatabaseError as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise StoreVersionError(
                f"store {options.path}: this file is no SQLite database; name another file in the store's URL"
            ) from error
        raise unavailable(options, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, options: Options) -> None:
    if not _is_ours(connection, options):
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not _is_ours(connection, options):  # nobody was faster
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
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


def _is_ours(connection: sqlite3.Connection, options: Options) -> bool:
    """Whether the file has our schema; False when it is empty.

    Raises:
        StoreVersionError: It has something else.
    """
    # In one statement, which sees one state of the file: another process may be creating it.
    application, version, tables = connection.execute(
        "SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id a, pragma_user_version v"
    ).fetchone()
    if application == APPLICATION and version == VERSION:
        return True
    if application == APPLICATION:
        raise StoreVersionError(
            f"store {options.path} has schema version {version}, this one works with {VERSION}: use "
            "the Drawbar that wrote it until its runs have ended, or name another file in the store's URL"
        )
    if application or tables:
        raise StoreVersionError(
            f"store {options.path} is a database of another program: name another file in the store's URL"
        )
    return False
