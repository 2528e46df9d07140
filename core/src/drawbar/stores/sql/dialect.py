"""Differences between the SQL of databases, and the statements that are built from column names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drawbar.records import Kind, TaskStatus

if TYPE_CHECKING:
    from drawbar.records import Task
    from drawbar.stores.rows import Columns

PLAIN = frozenset({TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING})
NEW: Columns = (
    "address", "plan", "kind", "status", "input", "attempt", "queue", "fan", "parent", "wake_at", "owner",
    "started_at",
)  # fmt: skip
"""The columns that a new task of most kinds sets."""
NEW_MORE: Columns = (
    *NEW, "output", "error", "event", "data", "delay", "total", "remaining", "finished_at", "places", "timed",
    "suspended", "payload",
)  # fmt: skip
"""The columns that any new task may set."""


def new_columns(task: Task) -> Columns:
    """Return the columns to insert for a new task: one of two tuples, so that a database prepares two statements.

    Args:
        task: The task to create.
    """
    plain = task.status in PLAIN and task.event is None and task.kind is not Kind.JOIN
    return NEW if plain else NEW_MORE


@dataclass(frozen=True)
class Dialect:
    """The SQL of one database.

    Statements of this package are written with `?` for a parameter and `@` before the name of a table.

    Attributes:
        mark: The placeholder of a parameter, for instance `?` or `%s`.
        schema: The text before the name of a table, for instance `drawbar.`.
        insert: The beginning of an INSERT that may meet a taken key.
        on_conflict: The end of such an INSERT, which has to do nothing when the key is taken (MySQL:
            `ON DUPLICATE KEY UPDATE address = address`; its `INSERT IGNORE` would cut off texts that are too long).
        lock: The end of a SELECT that locks the row of a run, for instance `FOR UPDATE`. Empty for a database
            whose transactions lock everything.
    """

    mark: str = "?"
    schema: str = ""
    insert: str = "INSERT INTO"
    on_conflict: str = "ON CONFLICT DO NOTHING"
    lock: str = ""
    _texts: dict[object, str] = field(default_factory=dict, repr=False, compare=False)

    def text(self, statement: str) -> str:
        """Return a statement of this package in this dialect.

        Args:
            statement: The statement, with `?` for each parameter and `@` before the name of each table.
        """
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = statement.replace("@", self.schema).replace("?", self.mark)
        return text

    def marks(self, count: int) -> str:
        """Return so many placeholders, separated by commas.

        Args:
            count: The number of placeholders.
        """
        return ", ".join([self.mark] * count)

    def update(self, columns: Columns, more: str = "", key: Columns = ("run", "address")) -> str:
        """Return the statement that changes columns of a task.

        Args:
            columns: The columns; their values are the first parameters.
            more: Further assignments, as SQL.
            key: The columns that find the task; their values are the last parameters.
        """
        known = ("update", columns, more)
        text = self._texts.get(known)
        if text is None:
            changes = ", ".join(f"{column} = {self.mark}" for column in columns)
            found = " AND ".join(f"{column} = {self.mark}" for column in key)
            text = self._texts[known] = f"UPDATE {self.schema}task SET {changes}{more} WHERE {found}"
        return text

    def insert_task(self, columns: Columns) -> str:
        """Return the statement that creates a task, unless its address is taken. Parameters: run, the columns.

        Args:
            columns: The columns that the new task sets, without `run`.
        """
        known = ("insert", columns)
        text = self._texts.get(known)
        if text is None:
            text = self._texts[known] = (
                f"{self.insert} {self.schema}task (run, {', '.join(columns)}) "
                f"VALUES ({self.marks(len(columns) + 1)}) {self.on_conflict}"
            )
        return text
