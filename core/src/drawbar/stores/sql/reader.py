"""`Reader` in portable SQL: the questions of a store that change nothing."""

# ruff: noqa: D102 - Reader documents the methods

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic_core import from_json

from drawbar.records import EventRecord, Json, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.rows import Reader
from drawbar.stores.sql.records import (
    RUN_COLUMNS,
    RUN_VALUES,
    TASK_COLUMNS,
    TASK_VALUES,
    Row,
    SqlRun,
    decode,
    fill_task,
    read_run,
    read_task,
)
from drawbar.stores.values import carries, copy_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from drawbar.stores.sql.dialect import Dialect

R = TypeVar("R", bound=SqlRun)

FIRST_PAGE = 2**63 - 1
"""A number beyond that of any run."""

FIND_RUN = f"SELECT {', '.join(RUN_COLUMNS)} FROM @run WHERE id = ?"
RUNS = f"SELECT {', '.join(RUN_COLUMNS + RUN_VALUES)} FROM @run"
TASKS = f"SELECT {', '.join(TASK_COLUMNS + TASK_VALUES)} FROM @task WHERE run = ?"
OUTPUT = "SELECT output FROM @task WHERE run = ? AND address = ? AND status = 'completed'"
EVENTS = (
    "SELECT first, at, body FROM @event WHERE run = ? AND first >= "
    "(SELECT coalesce(max(first), 0) FROM @event WHERE run = ? AND first <= ?) ORDER BY first LIMIT ?"
)
OWNERS = "SELECT DISTINCT owner FROM @task WHERE owner IS NOT NULL AND status = 'running'"


class SqlReader(Reader, Generic[R]):
    """The questions, on the tables of `SqlRows`.

    Attributes:
        dialect: The SQL of the database.
        make_run: The class of the runs.
        ask: Sends a statement with its values; returns the rows.
        ask_once: As `ask`, for a statement that is rare: a database that prepares statements plans it anew.
        events_statement: The statement that reads events. Its values: run, run, first number, limit.
        page_size: How many runs to read at once, at least, when their metadata may not match.
    """

    dialect: ClassVar[Dialect]
    make_run: type[R]
    ask: Callable[[str, Sequence[Any]], Iterable[Row]]
    ask_once: Callable[[str, Sequence[Any]], Iterable[Row]]
    events_statement: ClassVar[str] = EVENTS
    page_size: ClassVar[int] = 100

    def key(self, run_id: str) -> Any:
        """Return the value of the column `run` that stands for a run, or None when there is no such run.

        Args:
            run_id: The id of the run.
        """
        return run_id

    def decode(self, text: str | None) -> Json:
        """Return the value of a column.

        Args:
            text: The JSON text in the column; None for NULL, which stands for None.
        """
        return decode(text)

    def find_run(self, run_id: str) -> R | None:
        """Return the head of a run, or None when there is no such run.

        Args:
            run_id: The id of the run.
        """
        row = next(iter(self.ask(self.dialect.text(FIND_RUN), (run_id,))), None)
        return None if row is None else read_run(self.make_run, row)

    def load(self, run_id: str) -> RunRecord | None:
        rows = self.ask(self.dialect.text(f"{RUNS} WHERE id = ?"), (run_id,))
        return next((copy_run(self._run(row)) for row in rows), None)

    def _run(self, row: Row) -> R:
        run = read_run(self.make_run, row)
        run.input, run.output, run.error, state, metadata = map(self.decode, row[len(RUN_COLUMNS) :])
        run.state = state or {}
        run.metadata = metadata or {}
        return run

    def tasks(self, run_id: str, statuses: Sequence[TaskStatus] | None) -> Sequence[Task]:
        statement, values = TASKS, [self.key(run_id)]
        if statuses is not None:
            values += [status.value for status in statuses]
            statement += f" AND status IN ({', '.join('?' * len(statuses))})" if statuses else " AND 1 = 0"
        rows = self.ask_once(self.dialect.text(f"{statement} ORDER BY n"), values)
        return [self._task(run_id, row) for row in rows]

    def _task(self, run_id: str, row: Row) -> Task:
        task = read_task(run_id, row)
        fill_task(task, row[len(TASK_COLUMNS) :], self.decode)
        return task

    def runs(
        self,
        workflow_id: str | None,
        status: RunStatus | None,
        metadata: Mapping[str, Json] | None,
        limit: int,
    ) -> Sequence[RunRecord]:
        wanted: dict[str, Any] = {}
        if workflow_id is not None:
            wanted["workflow_id"] = workflow_id
        if status is not None:
            wanted["status"] = status.value
        found: list[RunRecord] = []
        before = FIRST_PAGE
        size = max(limit, self.page_size) if metadata else limit
        while len(found) < limit:
            page = self.page(before, wanted, metadata, size)
            for run in page:
                before = run.n
                if not metadata or carries(run.metadata, metadata):
                    found.append(self.whole(run))
                    if len(found) == limit:
                        break
            if len(page) < size:
                break
        return found

    def page(
        self, before: int, wanted: Mapping[str, Any], metadata: Mapping[str, Json] | None, size: int
    ) -> Sequence[R]:
        """Return runs with their metadata, newest first.

        Args:
            before: Only runs with a smaller number.
            wanted: Columns and the values they have.
            metadata: The metadata that are looked for. A database with an index on them may leave out others.
            size: How many runs at the most.
        """
        conditions = " AND ".join(["n < ?", *[f"{column} = ?" for column in wanted]])
        statement = f"{RUNS} WHERE {conditions} ORDER BY n DESC LIMIT ?"
        rows = self.ask_once(self.dialect.text(statement), (before, *wanted.values(), size))
        return [self._run(row) for row in rows]

    def whole(self, run: R) -> RunRecord:
        """Return a run of a page with all its values.

        Args:
            run: A run that `page` has returned.
        """
        return copy_run(run)

    def events(self, run_id: str, after: int, limit: int) -> Sequence[EventRecord]:
        key, limit = self.key(run_id), max(0, limit)
        rows = self.ask(self.dialect.text(self.events_statement), (key, key, after + 1, limit))
        found = [
            EventRecord(number, kind, address, data or {}, at)
            for first, at, body in rows
            for number, (kind, address, data) in enumerate(from_json(body), first)
            if number > after
        ]
        return found[:limit]

    def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        key, statement = self.key(run_id), self.dialect.text(OUTPUT)
        return {
            address: self.decode(row[0]) for address in addresses for row in self.ask(statement, (key, address))
        }

    def owners(self) -> Sequence[str]:
        return [owner for (owner,) in self.ask_once(self.dialect.text(OWNERS), ())]
