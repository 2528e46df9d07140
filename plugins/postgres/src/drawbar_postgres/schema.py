"""The tables: creating, migrating and checking them.

All statements of this package write the schema as `drawbar.`; `Statements` puts in the one that the URL names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from drawbar.errors import StoreUnavailable, StoreVersionError
from drawbar_postgres.pipeline import connect

if TYPE_CHECKING:
    from drawbar_postgres.options import Options

    Connection = psycopg.Connection[Any]

# Names are compared byte by byte (COLLATE "C"). This is faster, and the addresses with a prefix are a range.
# Values are JSON in columns of type text: jsonb would lose NaN, the order of keys and the difference of 1 and 1.0. Big
# values are stored outside the row (TOAST), so that a row that changes with every step is small. `labels` is only for
# searching. A task has the fingerprint of its run as its `plan`: a ticker finds what is due for its own workers, and
# reads nothing of other applications. The indexes are partial, so that finished tasks cost nothing. There are no
# foreign keys: every row of a run is written under the lock of its row in `run`, and the checks would take as long
# as the rest of a commit.
FIRST = """
CREATE TABLE drawbar.run (
    id text COLLATE "C" PRIMARY KEY,
    n bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    workflow_id text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    status text NOT NULL,
    seq bigint NOT NULL DEFAULT 0,
    active bigint NOT NULL DEFAULT 0,
    timed bigint NOT NULL DEFAULT 0,
    suspended bigint NOT NULL DEFAULT 0,
    forked_from text,
    created_at double precision NOT NULL,
    started_at double precision,
    finished_at double precision,
    events_until double precision,
    rest_until double precision,
    input text,
    output text,
    error text,
    state text,
    metadata text,
    labels jsonb
) WITH (fillfactor = 60, toast_tuple_target = 512, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX run_workflow ON drawbar.run (workflow_id, n);
CREATE INDEX run_status ON drawbar.run (status, n);
CREATE INDEX run_finished ON drawbar.run (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX run_labels ON drawbar.run USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;

CREATE TABLE drawbar.task (
    run text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    n bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    status text NOT NULL,
    input text,
    output text,
    error text,
    attempt bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    queue text,
    fan text COLLATE "C",
    parent text COLLATE "C",
    event text COLLATE "C",
    payload text,
    data text,
    wake_at double precision,
    delay double precision,
    was text,
    owner text COLLATE "C",
    dispatches bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    remaining bigint NOT NULL DEFAULT 0,
    started_at double precision,
    finished_at double precision,
    PRIMARY KEY (run, address)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX task_due ON drawbar.task (wake_at) WHERE wake_at IS NOT NULL AND finished_at IS NULL;
CREATE INDEX task_owner ON drawbar.task (owner) WHERE owner IS NOT NULL;
CREATE INDEX task_held ON drawbar.task (run, fan, n) WHERE status = 'held';
CREATE INDEX task_free ON drawbar.task (run, parent) WHERE status = 'scheduled';
CREATE INDEX task_waiting ON drawbar.task (run, event, n) WHERE status = 'waiting';

CREATE TABLE drawbar.slot (
    run text COLLATE "C" NOT NULL,
    join_address text COLLATE "C" NOT NULL,
    slot text COLLATE "C" NOT NULL,
    value text,
    PRIMARY KEY (run, join_address, slot)
);
CREATE TABLE drawbar.mail (
    run text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    n bigint GENERATED ALWAYS AS IDENTITY,
    payload text,
    PRIMARY KEY (run, event, n)
);
CREATE TABLE drawbar.event (
    run text COLLATE "C" NOT NULL,
    first bigint NOT NULL,
    count bigint NOT NULL,
    at double precision NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (run, first)
);
"""
PLACES = """
ALTER TABLE drawbar.task
    ADD COLUMN places bigint NOT NULL DEFAULT 0,
    ADD COLUMN timed bigint NOT NULL DEFAULT 0,
    ADD COLUMN suspended bigint NOT NULL DEFAULT 0,
    ADD COLUMN waits_at text COLLATE "C",
    ADD COLUMN turn bigint NOT NULL DEFAULT 0;
CREATE INDEX task_resumed ON drawbar.task (run, waits_at, turn, n) WHERE status = 'resumed';
"""
PLANS = """
ALTER TABLE drawbar.task ADD COLUMN plan text COLLATE "C" NOT NULL DEFAULT '';
UPDATE drawbar.task t SET plan = r.fingerprint FROM drawbar.run r WHERE r.id = t.run;
DROP INDEX drawbar.task_due;
CREATE INDEX task_due ON drawbar.task (plan, wake_at) WHERE wake_at IS NOT NULL AND finished_at IS NULL;
"""
MIGRATIONS = (FIRST, PLACES, PLANS)
"""The statements that bring the schema from each version to the next."""
VERSION = len(MIGRATIONS)
LOCK = 0x44524157
"""The key (`DRAW`) of the advisory lock under which one process at a time changes the schema."""


class Statements(dict[str, bytes]):
    """Statements as they are sent: in the schema that the URL names, with numbered parameters.

    Attributes:
        channel: The channel of the notifications of commits in that schema.

    Args:
        schema: The schema.
    """

    def __init__(self, schema: str) -> None:
        super().__init__()
        self.channel = f"drawbar_{schema}"
        self._schema = f'"{schema}".'

    def __missing__(self, text: str) -> bytes:
        first, *parts = text.replace("drawbar.", self._schema).split("%s")
        numbered = [first, *[f"${number}{part}" for number, part in enumerate(parts, 1)]]
        made = self[text] = "".join(numbered).encode()
        return made


def check(found: int, options: Options) -> None:
    """Check the version of the schema, and create the schema where there is none.

    Args:
        found: The version that the database has; 0 when it has no tables.
        options: The options of the store's URL.

    Raises:
        StoreVersionError: The schema has another version, or there is none and this role may not create it.
        StoreUnavailable: The server cannot be reached.
    """
    init = f"run `drawbar store init --store {options.url}`"
    if not found:
        try:
            with connect(options) as connection:
                prepare(connection, options)
        except NotAllowed as error:
            raise StoreVersionError(
                f"{options.where} has no Drawbar tables in the schema {options.schema!r}, and this role may not create "
                f"them: {init} as a role that may"
            ) from error
    elif found < VERSION:
        raise StoreVersionError(
            f"{options.where} has version {found} of the schema {options.schema!r}, and this drawbar-postgres works "
            f"with version {VERSION}: stop the workers that use it, and {init}"
        )
    elif found > VERSION:
        raise _too_new(options, found)


class NotAllowed(StoreUnavailable):
    """This role may not create the tables."""


def prepare(connection: Connection, options: Options) -> str:
    """Create or migrate the schema. Other processes may do so at the same time.

    Returns:
        A line that says what was done.

    Raises:
        StoreVersionError: The schema has a newer version, or the tables are another program's.
        NotAllowed: This role may not do it.
    """
    name = f"{options.where}, schema {options.schema!r}"
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            found = _migrate(connection, options)
    except errors.DuplicateTable as error:
        raise StoreVersionError(
            f"{name}: {_line(error)}; it is another program's: name another schema in the store's URL (?schema=…)"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise NotAllowed(
            f"{name}: {_line(error)}; to create the tables, a role needs CREATE on the database, or on the schema"
        ) from error
    if found == VERSION:
        return f"{name}: version {VERSION} is there"
    return f"{name}: version {VERSION} {f'migrated from {found}' if found else 'created'}"


def _migrate(connection: Connection, options: Options) -> int:
    """Create or migrate the schema under its lock. Return the version that was there, or 0."""
    # It asks for what is there before it creates anything: `IF NOT EXISTS` needs the right to create, always.
    texts = Statements(options.schema)
    schema = f'"{options.schema}"'
    execute = connection.execute
    if not execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (options.schema,)).fetchone():
        execute(f"CREATE SCHEMA {schema}".encode())
    if execute("SELECT to_regclass(%s)", (f"{schema}.version",)).fetchone() == (None,):
        execute(texts["CREATE TABLE drawbar.version (version bigint NOT NULL)"])
    row = execute(texts["SELECT version FROM drawbar.version"]).fetchone()
    found = int(row[0]) if row else 0
    if found > VERSION:
        raise _too_new(options, found)
    if found < VERSION:
        for migration in MIGRATIONS[found:]:
            execute(texts[migration], prepare=False)  # several statements: cannot be prepared
        execute(texts["DELETE FROM drawbar.version"])
        execute(texts[f"INSERT INTO drawbar.version VALUES ({VERSION})"])
    return found


def _line(error: errors.Error) -> str:
    """Return the server's message, without the place in the statement."""
    return str(error).partition("\n")[0]


def _too_new(options: Options, found: int) -> StoreVersionError:
    return StoreVersionError(
        f"{options.where} has version {found} of the schema {options.schema!r}, and this drawbar-postgres knows only "
        f"up to version {VERSION}: install a newer drawbar-postgres, or name another schema in the store's URL "
        "(?schema=…)"
    )
