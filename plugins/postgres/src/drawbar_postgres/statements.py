"""The statements of transactions."""

from __future__ import annotations

from functools import cache

from drawbar.stores.rows import CANCEL, Columns
from drawbar_postgres.reads import CLOCK, RUN_HEAD, RUN_WHOLE, TASK_HEAD, TASK_WHOLE

_TYPES = (
    dict.fromkeys(("attempt", "failures", "lost", "dispatches", "total", "remaining", "run"), "bigint")
    | dict.fromkeys(("wake_at", "delay", "started_at", "finished_at"), "float8")
)  # fmt: skip
"""Of columns that are not text."""
NEW: Columns = (
    "address", "kind", "status", "input", "attempt", "queue", "fan", "parent", "wake_at", "owner", "started_at",
)  # fmt: skip
NEW_MORE: Columns = (*NEW, "output", "error", "event", "data", "delay", "total", "remaining", "finished_at")

LOCK = "FOR NO KEY UPDATE"
LOCK_HEAD = f"SELECT {RUN_HEAD} FROM drawbar.run r WHERE r.id = %s {LOCK}"
LOCK_STATE = f"SELECT {RUN_HEAD}, r.state FROM drawbar.run r WHERE r.id = %s {LOCK}"
LOCK_WHOLE = f"SELECT {RUN_WHOLE} FROM drawbar.run r WHERE r.id = %s {LOCK}"
LOCK_MANY = f"SELECT {RUN_HEAD} FROM drawbar.run r WHERE r.id = ANY(%s::text[]) ORDER BY r.n {LOCK}"
LOCK_OWNED = (
    f"SELECT {RUN_HEAD} FROM drawbar.run r WHERE r.n IN (SELECT run FROM drawbar.task WHERE owner = %s AND status = 'running') "
    f"ORDER BY r.n {LOCK}"
)
OF = "FROM drawbar.run r JOIN drawbar.task t ON t.run = r.n"
OWNED = f"SELECT r.id, {TASK_HEAD} {OF} WHERE t.owner = %s AND t.status = 'running'"
NAMED = (
    f"SELECT r.id, {TASK_HEAD} FROM unnest(%s::text[], %s::text[]) AS d (id, address) "
    "JOIN drawbar.run r ON r.id = d.id JOIN drawbar.task t ON t.run = r.n AND t.address = d.address"
)
# Both rows are locked, so both are as they are now. What somebody else has locked is let alone: another ticker hands it out,
# or a worker is just about to change it.
DUE = (
    f"SELECT {RUN_HEAD}, {TASK_HEAD} {OF} WHERE t.wake_at <= %s AND t.finished_at IS NULL "
    f"ORDER BY t.wake_at LIMIT %s {LOCK} OF r, t SKIP LOCKED"
)
FREE = (
    f"SELECT {RUN_HEAD}, {TASK_HEAD} {OF} WHERE t.status = 'scheduled' LIMIT %s {LOCK} OF r, t SKIP LOCKED"
)
FOR_COMMIT = (
    f"SELECT {CLOCK}, ARRAY(SELECT x.address FROM drawbar.task x WHERE x.run = r.n AND x.address = ANY(%s::text[])), "
    "t.kind, t.status, t.attempt, t.failures "
    "FROM drawbar.run r LEFT JOIN drawbar.task t ON t.run = r.n AND t.address = %s WHERE r.id = %s"
)
FOR_JOIN = (
    "SELECT EXISTS (SELECT FROM drawbar.slot s WHERE s.run = r.n AND s.join_address = d.address AND s.slot = d.slot), "
    f"{TASK_WHOLE}, {TASK_WHOLE.replace('t.', 'h.')} "
    "FROM (SELECT %s AS address, %s AS slot, %s AS id) d JOIN drawbar.run r ON r.id = d.id "
    "LEFT JOIN drawbar.task t ON t.run = r.n AND t.address = d.address "
    "LEFT JOIN LATERAL (SELECT * FROM drawbar.task WHERE run = r.n AND fan = d.address AND status = 'held' ORDER BY n LIMIT 1) h "
    "ON true"
)
FOR_CLAIM = (
    f"SELECT {CLOCK}, {TASK_WHOLE} FROM (SELECT %s AS id, %s AS address) d LEFT JOIN drawbar.run r ON r.id = d.id "
    "LEFT JOIN drawbar.task t ON t.run = r.n AND t.address = d.address"
)
ADD_RUN = (
    "INSERT INTO drawbar.run (id, workflow_id, fingerprint, status, forked_from, input, state, metadata, labels, created_at) "
    f"VALUES (%s, %s, %s, 'pending', %s, %s, %s, %s, %s, {CLOCK}) ON CONFLICT DO NOTHING RETURNING n, created_at"
)
SAVE_RUN = (
    "UPDATE drawbar.run SET status = %s, active = %s, timed = %s, suspended = %s, started_at = %s, finished_at = %s, seq = %s"
)
ADD_EVENTS = (
    "WITH e AS (INSERT INTO drawbar.event (run, first, count, at, body) VALUES (%s, %s, %s, %s, %s))"
)
PURGE = f"SELECT n, seq FROM drawbar.run WHERE finished_at < {CLOCK} - %s ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED"
RUN_OF = "(SELECT n FROM drawbar.run WHERE id = %s)"
"""For tables that are asked about a run which may not be locked here."""


@cache
def update(columns: Columns) -> str:
    """Changes those columns of one task. Parameters: the columns, run, address."""
    return f"UPDATE drawbar.task SET {', '.join(f'{name} = %s' for name in columns)} WHERE run = %s AND address = %s"


@cache
def update_many(columns: Columns) -> str:
    """Changes those columns of many tasks. Parameters: an array each of the columns, run, address."""
    changes = ", ".join(f"{name} = d.{name}" for name in columns)
    return (
        f"UPDATE drawbar.task t SET {changes} FROM {_rows((*columns, 'run', 'address'))} "
        "WHERE t.run = d.run AND t.address = d.address"
    )


@cache
def insert(columns: Columns) -> str:
    """Creates one task. Parameters: run, the columns."""
    marks = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO drawbar.task (run, {', '.join(columns)}) VALUES (%s, {marks}) ON CONFLICT DO NOTHING"


@cache
def insert_many(columns: Columns) -> str:
    """Creates many tasks, in order. Parameters: run, an array each of the columns."""
    names = ", ".join(columns)
    return (
        f"INSERT INTO drawbar.task (run, {names}) SELECT %s::bigint, {names} FROM {_rows(columns)} "
        "ON CONFLICT DO NOTHING"
    )


def _rows(columns: Columns) -> str:
    arrays = ", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in columns)
    return f"unnest({arrays}) AS d ({', '.join(columns)})"
