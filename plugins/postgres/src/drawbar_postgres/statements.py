"""The statements of transactions, beside those of `drawbar.stores.sql`.

The statements of a worker's path are prepared: PostgreSQL plans them once for a connection, perhaps while the tables
are all but empty. So they ask for nothing that could be planned badly: one table and its whole key, given by
parameters. (A join, or a list of addresses, may be planned as a walk through all tasks of a run.) Rare statements are
planned every time, see `once` of `Pipeline.send`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from drawbar.stores.sql import rows as sql
from drawbar_postgres.reads import CLOCK, DIALECT, OF_PLANS, OPEN, RUN_HEAD, RUN_WHOLE, TASK_HEAD, TASK_WHOLE

if TYPE_CHECKING:
    from drawbar.stores.rows import Columns

LOCK = "FOR NO KEY UPDATE"
LOCK_HEAD = f"SELECT {RUN_HEAD} FROM drawbar.run r WHERE r.id = %s {LOCK}"
LOCK_STATE = f"SELECT {RUN_HEAD}, r.state FROM drawbar.run r WHERE r.id = %s {LOCK}"
LOCK_WHOLE = f"SELECT {RUN_WHOLE} FROM drawbar.run r WHERE r.id = %s {LOCK}"
LOCK_MANY = f"SELECT {RUN_HEAD} FROM drawbar.run r WHERE r.id = ANY(%s::text[]) ORDER BY r.id {LOCK}"
# A run that is locked is left out: another ticker hands its task out, or a worker is about to change it.
# Of the others, the first ones of the list are taken.
LOCK_FREE = (
    f"SELECT {RUN_HEAD} FROM unnest(%s::text[]) WITH ORDINALITY d (id, place) JOIN drawbar.run r ON r.id = d.id "
    f"ORDER BY d.place LIMIT %s {LOCK} OF r SKIP LOCKED"
)
NOW = f"SELECT {CLOCK}"

FOR_COMMIT = (
    f"SELECT {CLOCK}, t.kind, t.status, t.attempt, t.failures, t.fan, "
    "EXISTS (SELECT FROM drawbar.task WHERE run = %s AND address = %s) "
    "FROM (SELECT 1) one LEFT JOIN drawbar.task t ON t.run = %s AND t.address = %s"
)
FOR_JOIN = (
    "SELECT EXISTS (SELECT FROM drawbar.slot WHERE run = %s AND join_address = %s AND slot = %s), "
    f"{TASK_WHOLE}, {TASK_WHOLE.replace('t.', 'h.')} "
    "FROM (SELECT 1) one LEFT JOIN drawbar.task t ON t.run = %s AND t.address = %s LEFT JOIN LATERAL "
    "(SELECT * FROM drawbar.task WHERE run = %s AND fan = %s AND status = 'held' ORDER BY n LIMIT 1) h ON true"
)
FOR_CLAIM = (
    f"SELECT {CLOCK}, {TASK_WHOLE} FROM (SELECT 1) one LEFT JOIN drawbar.task t ON t.run = %s AND t.address = %s"
)
TAKEN = (
    "SELECT d.address FROM unnest(%s::text[]) d (address) CROSS JOIN LATERAL "
    "(SELECT FROM drawbar.task WHERE run = %s AND address = d.address LIMIT 1) t"
)
NAMED = (
    f"SELECT d.run, {TASK_HEAD} FROM unnest(%s::text[], %s::text[]) d (run, address) CROSS JOIN LATERAL "
    "(SELECT * FROM drawbar.task WHERE run = d.run AND address = d.address LIMIT 1) t"
)
OWNED = "SELECT run, address FROM drawbar.task WHERE owner = %s AND status = 'running'"
DUE = (
    f"SELECT d.run, d.address {OF_PLANS} (SELECT run, address, wake_at {OPEN} AND wake_at <= %s "
    "ORDER BY wake_at LIMIT %s) d ORDER BY d.wake_at LIMIT %s"
)
FREE = f"SELECT d.run, d.address {OF_PLANS} (SELECT run, address {OPEN} AND status = 'scheduled' LIMIT %s) d LIMIT %s"

ADD_RUN = (
    "INSERT INTO drawbar.run (id, workflow_id, fingerprint, status, forked_from, input, state, metadata, "
    f"labels, created_at) VALUES (%s, %s, %s, 'pending', %s, %s, %s, %s, %s, {CLOCK}) "
    "ON CONFLICT DO NOTHING RETURNING created_at"
)
SAVE_RUN = DIALECT.text(sql.SAVE_RUN)
ADD_EVENTS = "WITH e AS (INSERT INTO drawbar.event (run, first, count, at, body) VALUES (%s, %s, %s, %s, %s))"
COLLECT = (
    "DELETE FROM drawbar.mail WHERE run = %s AND event = %s AND n = "
    "(SELECT n FROM drawbar.mail WHERE run = %s AND event = %s ORDER BY n LIMIT 1) RETURNING payload"
)
PURGE = (
    f"SELECT id, seq FROM drawbar.run WHERE finished_at < {CLOCK} - %s "
    "ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED"
)

TYPES = (
    dict.fromkeys(("attempt", "total", "remaining", "places", "timed", "suspended"), "bigint")
    | dict.fromkeys(("wake_at", "delay", "started_at", "finished_at"), "float8")
)  # fmt: skip
"""The types of columns that are not text."""


@cache
def insert_many(columns: Columns) -> str:
    """Return the statement that creates many tasks, in order. Parameters: run, an array for each column."""
    names = ", ".join(columns)
    arrays = ", ".join(f"%s::{TYPES.get(name, 'text')}[]" for name in columns)
    return (
        f"INSERT INTO drawbar.task (run, {names}) SELECT %s, {names} FROM unnest({arrays}) d ({names}) "
        "ON CONFLICT DO NOTHING"
    )
