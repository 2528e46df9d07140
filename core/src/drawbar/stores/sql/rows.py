"""`Rows` in portable SQL: one statement for each method, over two functions that send statements."""

# ruff: noqa: D102 - Rows documents the methods

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from drawbar.stores.rows import RUN_END, Columns, Event, Rows
from drawbar.stores.sql.dialect import new_columns
from drawbar.stores.sql.records import (
    RUN_COLUMNS,
    RUN_VALUES,
    TASK_COLUMNS,
    TASK_VALUES,
    Row,
    SqlRun,
    SqlTask,
    decode,
    dumps,
    encode,
    fill_task,
    read_run,
    read_task,
)
from drawbar.stores.values import copy_run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from drawbar.records import Json, RunRecord, Task, TaskStatus
    from drawbar.stores.sql.dialect import Dialect

    Places = Sequence[tuple[str, str]]
    """Run id and address of tasks."""

R = TypeVar("R", bound=SqlRun)

TABLES = ("task", "slot", "mail", "event")
"""The tables whose rows belong to a run by their column `run`."""
VALUES = frozenset(TASK_VALUES)
LAST = "\U0010ffff"
"""The last character: the addresses with a prefix are those from the prefix up to the prefix and this."""

RUN = f"SELECT {', '.join(RUN_COLUMNS)} FROM @run WHERE id = ?"
RUN_WHOLE = f"SELECT {', '.join(RUN_COLUMNS + RUN_VALUES)} FROM @run WHERE id = ?"
HEAD = ", ".join(TASK_COLUMNS)
WHOLE = ", ".join(TASK_COLUMNS + TASK_VALUES)
HEADS = f"SELECT {HEAD} FROM @task WHERE run = ?"
WHOLES = f"SELECT {WHOLE} FROM @task WHERE run = ?"
FILL = f"SELECT {', '.join(TASK_VALUES)} FROM @task WHERE run = ? AND address = ?"
EXISTS = "SELECT 1 FROM @task WHERE run = ? AND address = ?"
SLOTS = "SELECT slot, value FROM @slot WHERE run = ? AND join_address = ?"
HELD = "AND status = 'held' AND fan = ? ORDER BY n LIMIT 1"
RESUMED = "AND status = 'resumed' AND waits_at = ? ORDER BY turn, n LIMIT 1"
WAITING = "AND status = 'waiting' AND event = ? ORDER BY n LIMIT 1"
CHILDREN = "AND status = 'scheduled' AND parent = ? AND attempt = 0 ORDER BY n"
AMONG = "AND address >= ? AND address < ? AND status IN (%s) ORDER BY n"
RUNNING = "SELECT run, address FROM @task WHERE owner = ? AND status = 'running'"
OPEN = "FROM @task WHERE plan = ? AND wake_at IS NOT NULL AND finished_at IS NULL"
OVERDUE = f"SELECT run, address, wake_at {OPEN} AND wake_at <= ? ORDER BY wake_at LIMIT ?"
SCHEDULED = f"SELECT run, address, wake_at {OPEN} AND status = 'scheduled' LIMIT ?"
NEXT_WAKE = f"SELECT wake_at {OPEN} ORDER BY wake_at LIMIT 1"
NEXT_PLAN = (
    "SELECT plan FROM @task WHERE plan > ? AND wake_at IS NOT NULL AND finished_at IS NULL ORDER BY plan LIMIT 1"
)
MANY_PLANS = 50
"""Plans of which one statement asks. Databases limit the parts of a UNION."""
SLOT_KNOWN = "SELECT 1 FROM @slot WHERE run = ? AND join_address = ? AND slot = ?"
MAIL = "SELECT n, payload FROM @mail WHERE run = ? AND event = ? ORDER BY n LIMIT 1"
OLD_RUNS = "SELECT id, seq FROM @run WHERE finished_at < ? ORDER BY finished_at LIMIT ?"

ADD_RUN = (
    "INSERT INTO @run (id, workflow_id, fingerprint, status, forked_from, input, state, metadata, created_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SAVE_RUN = (
    "UPDATE @run SET status = ?, active = ?, timed = ?, suspended = ?, started_at = ?, finished_at = ?, seq = ?"
)
SAVE_STATE = "UPDATE @run SET state = ? WHERE id = ?"
FORGET = "DELETE FROM @task WHERE run = ? AND address = ?"
FILL_SLOT = "INSERT INTO @slot (run, join_address, slot, value) VALUES (?, ?, ?, ?)"
POST = "INSERT INTO @mail (run, event, payload) VALUES (?, ?, ?)"
COLLECT = "DELETE FROM @mail WHERE run = ? AND event = ? AND n = ?"
ADD_EVENTS = "INSERT INTO @event (run, first, count, at, body) VALUES (?, ?, ?, ?, ?)"


class SqlRows(Rows[R]):
    """The rows of one transaction on an SQL database.

    As it stands, it works on these tables (types are up to the database; `n` is a growing number that the database
    gives, a value is JSON text):

    - `run`: the columns `RUN_COLUMNS` and `RUN_VALUES`; `id` is unique; the counters default to 0.
    - `task`: `run`, `n`, `plan` (the fingerprint of its run), the columns `TASK_COLUMNS` and `TASK_VALUES`;
      `(run, address)` is unique; the counters default to 0. An index on `(plan, wake_at)` finds what is due.
    - `slot`: `run`, `join_address`, `slot`, `value`; the first three are unique together.
    - `mail`: `n`, `run`, `event`, `payload`.
    - `event`: `run`, `first`, `count`, `at`, `body`: the events of one operation, as one JSON list.

    A store that keeps something in another way overrides the methods concerned.

    Where the dialect has a lock, transactions run side by side. A statement has to see what others have committed
    before it: the isolation level is READ COMMITTED.

    Attributes:
        dialect: The SQL of the database.
        make_run: The class of the runs.
        heads: The statement that selects the heads of a run's tasks; conditions follow.
        wholes: As `heads`, with all values.
        ask: Sends a statement with its values; returns the rows.
        ask_once: As `ask`, for a statement that is rare: a database that prepares statements plans it anew.
        tell: Sends a statement with its values whose rows are not needed.
    """

    dialect: ClassVar[Dialect]
    make_run: type[R]
    heads: ClassVar[str] = HEADS
    wholes: ClassVar[str] = WHOLES
    ask: Callable[[str, Sequence[Any]], Iterable[Row]]
    ask_once: Callable[[str, Sequence[Any]], Iterable[Row]]
    tell: Callable[[str, Sequence[Any]], object]

    def begin(self, now: float, redispatch: float) -> None:
        """Start a transaction: forget what was read and written before.

        Args:
            now: The store's time, in seconds.
            redispatch: See `Rows`.
        """
        self.now = now
        self.redispatch = redispatch
        self.runs: dict[str, R | None] = {}
        self.texts: dict[int, tuple[Json, str | None]] = {}

    def key(self, run: R) -> Any:
        """Return the value of the column `run` that stands for a run: by default its id.

        Args:
            run: The head of the run.
        """
        return run.id

    def decode(self, text: str | None) -> Json:
        """Return the value of a column.

        Args:
            text: The JSON text in the column; None for NULL, which stands for None.
        """
        return decode(text)

    def _ask(self, statement: str, *values: Any) -> Iterable[Row]:
        return self.ask_once(self.dialect.text(statement), values)

    def _first(self, statement: str, *values: Any) -> Row | None:
        return next(iter(self.ask_once(self.dialect.text(statement), values)), None)

    def _tell(self, statement: str, *values: Any) -> None:
        self.tell(self.dialect.text(statement), values)

    # Reading

    def run(self, run_id: str) -> R | None:
        if run_id not in self.runs:
            row = self._first(f"{RUN} {self.dialect.lock}", run_id)
            self.runs[run_id] = None if row is None else read_run(self.make_run, row)
        return self.runs[run_id]

    def whole_run(self, run: R) -> RunRecord:
        row = self._first(RUN_WHOLE, run.id)
        assert row is not None
        whole = copy_run(run)
        whole.input, whole.output, whole.error, state, metadata = map(self.decode, row[len(RUN_COLUMNS) :])
        whole.state = state or {}
        whole.metadata = metadata or {}
        return whole

    def task(self, run: R, address: str) -> Task | None:
        return self._one_head(run, self._first(f"{self.heads} AND address = ?", self.key(run), address))

    def whole_task(self, run: R, address: str) -> Task | None:
        return self._one_whole(run, self._first(f"{self.wholes} AND address = ?", self.key(run), address))

    def read_head(self, run: R, row: Row) -> SqlTask:
        """Return the task of a row of `heads`.

        Args:
            run: The head of the task's run.
            row: The values of the columns that `heads` selects.
        """
        return read_task(run.id, row)

    def read_whole(self, run: R, row: Row) -> SqlTask:
        """Return the task of a row of `wholes`.

        Args:
            run: The head of the task's run.
            row: The values of the columns that `wholes` selects.
        """
        task = read_task(run.id, row)
        fill_task(task, row[len(TASK_COLUMNS) :], self.decode)
        return task

    def _one_head(self, run: R, row: Row | None) -> SqlTask | None:
        return None if row is None else self.read_head(run, row)

    def _one_whole(self, run: R, row: Row | None) -> SqlTask | None:
        return None if row is None else self.read_whole(run, row)

    def exists(self, run: R, address: str) -> bool:
        return self._first(EXISTS, self.key(run), address) is not None

    def fill_in(self, run: R, task: Any) -> Task:
        filled: SqlTask = task
        if not filled.whole:
            row = self._first(FILL, self.key(run), filled.address)
            assert row is not None
            fill_task(filled, row, self.decode)
        return filled

    def held(self, run: R, join: str) -> Task | None:
        # Whole at once: most often the caller claims the task in place.
        return self._one_whole(run, self._first(f"{self.wholes} {HELD}", self.key(run), join))

    def resumed(self, run: R, join: str) -> Task | None:
        return self._one_whole(run, self._first(f"{self.wholes} {RESUMED}", self.key(run), join))

    def slots(self, run: R, join: str) -> Mapping[str, Json]:
        rows = self.ask(self.dialect.text(SLOTS), (self.key(run), join))
        return {slot: self.decode(value) for slot, value in rows}

    def listening(self, run: R, event: str) -> Task | None:
        return self._one_head(run, self._first(f"{self.heads} {WAITING}", self.key(run), event))

    def children(self, run: R, parent: str) -> Sequence[Task]:
        rows = self._ask(f"{self.heads} {CHILDREN}", self.key(run), parent)
        return [self.read_head(run, row) for row in rows]

    def among(self, run: R, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        statement = f"{self.heads} {AMONG}" % ", ".join("?" * len(statuses))
        wanted = [status.value for status in statuses]
        rows = self._ask(statement, self.key(run), prefix, prefix + LAST, *wanted)
        return [self.read_head(run, row) for row in rows]

    def running(self, owner: str) -> Iterable[tuple[str, str]]:
        return self._places(lambda: [(row[0], row[1]) for row in self._ask(RUNNING, owner)])

    def overdue(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        return self._by_plan(OVERDUE, plans, (self.now, limit))[:limit]

    def undelivered(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        return self._by_plan(SCHEDULED, plans, (limit,))[:limit]

    def stranded(self, seconds: float, limit: int) -> Sequence[str]:
        late = self._of_plans(OVERDUE, None, (self.now - seconds, limit))
        return list(dict.fromkeys(row[0] for row in late))[:limit]

    def next_wake(self, plans: Collection[str] | None) -> float | None:
        return min((row[0] for row in self._of_plans(NEXT_WAKE, plans, ())), default=None)

    def _by_plan(self, statement: str, plans: Collection[str] | None, values: tuple[Any, ...]) -> Places:
        """Return the places of tasks of some plans, the earliest first, when their runs are locked."""
        return self._places(lambda: [(row[0], row[1]) for row in self._of_plans(statement, plans, values)])

    def _of_plans(self, statement: str, plans: Collection[str] | None, values: tuple[Any, ...]) -> Sequence[Row]:
        """Return the rows that a statement selects of each plan, by their last column.

        Each plan is looked up by itself, so that the index on plan and time gives the first rows of each.
        """
        wanted = list(self._open_plans() if plans is None else plans)
        found: list[Row] = []
        for first in range(0, len(wanted), MANY_PLANS):
            some = wanted[first : first + MANY_PLANS]
            parts = (f"SELECT * FROM ({statement}) p{number}" for number in range(len(some)))
            given = [value for plan in some for value in (plan, *values)]
            found += self._ask(" UNION ALL ".join(parts), *given)
        found.sort(key=itemgetter(-1))
        return found

    def _open_plans(self) -> Iterator[str]:
        """Yield the plans that have open tasks, going from one to the next in the index."""
        row = self._first(NEXT_PLAN, "")
        while row is not None:
            yield row[0]
            row = self._first(NEXT_PLAN, row[0])

    def _places(self, ask: Callable[[], Places]) -> Places:
        """Return (run id, address) of tasks of many runs, as they are when these runs are locked.

        While this transaction waits for the lock of a run, another one may change what was found. So it asks again
        when it has the locks. It takes them in the order of the ids: two callers do not wait for each other.
        """
        found = ask()
        if not self.dialect.lock or not found:
            return found
        locked = {run_id for run_id, _ in found}
        for run_id in sorted(locked):
            self.run(run_id)
        return [place for place in ask() if place[0] in locked]

    # Changing

    def add_run(self, run: RunRecord) -> None:
        values = (encode(run.input), encode(run.state or None), encode(run.metadata or None), run.created_at)
        self._tell(
            ADD_RUN, run.id, run.workflow_id, run.fingerprint, run.status.value, run.forked_from, *values
        )
        self.runs.pop(run.id, None)

    def merge(self, run: R, state: Mapping[str, Json]) -> None:
        run.state = {**self.state(run), **state}
        self._tell(SAVE_STATE, dumps(run.state), run.id)

    def state(self, run: R) -> Mapping[str, Json]:
        if not run.has_state:
            row = self._first("SELECT state FROM @run WHERE id = ?", run.id)
            run.state = (row and self.decode(row[0])) or {}
            run.has_state = True
        return dict(run.state)

    def add(self, run: R, tasks: Collection[Task]) -> None:
        for columns, group in groupby(tasks, new_columns):
            self.insert(run, columns, [[self.column(run, task, name) for name in columns] for task in group])

    def insert(self, run: R, columns: Columns, rows: Sequence[Sequence[Any]]) -> None:
        """Create tasks whose columns are the same. Override it where a database takes many rows at once.

        Args:
            run: The head of the run.
            columns: The columns that the tasks set, without `run`.
            rows: The values of these columns, for each task in the order of creation.
        """
        statement = self.dialect.insert_task(columns)
        for row in rows:
            self.tell(statement, (self.key(run), *row))

    def save(self, run: R, task: Task, columns: Columns) -> None:
        values = [self.column(run, task, name) for name in columns]
        self.tell(self.dialect.update(columns), (*values, self.key(run), task.address))

    def column(self, run: R, task: Task, name: str) -> Any:
        """Return an attribute of a task as its column keeps it.

        Args:
            run: The head of the task's run.
            task: The task.
            name: The name of the attribute, which is that of the column.
        """
        if name == "plan":
            return run.fingerprint
        value = getattr(task, name)
        if value is None:
            return None
        if name in VALUES:
            if name == "data":  # a tuple of one: no data and the datum None are two things
                return self.text(run, value[0]) or "null"
            return self.text(run, value)
        if name in ("status", "was", "kind"):
            return value._value_
        return value

    def text(self, run: R, value: Json) -> str | None:
        """Return a value as JSON text. A step's output is often the next one's input: convert it once.

        Args:
            run: The head of the run that the value belongs to.
            value: The value to convert; None gives None, for NULL.
        """
        if value is None:
            return None
        known = self.texts.get(id(value))
        if known is None:
            known = self.texts[id(value)] = (value, dumps(value))
        return known[1]

    def forget(self, run: R, address: str) -> None:
        self._tell(FORGET, self.key(run), address)

    def fill(self, run: R, join: str, slot: str, value: Json) -> bool:
        if self._first(SLOT_KNOWN, self.key(run), join, slot) is not None:
            return False
        self._tell(FILL_SLOT, self.key(run), join, slot, self.text(run, value))
        return True

    def post(self, run: R, event: str, payload: Json) -> None:
        self._tell(POST, self.key(run), event, dumps(payload))

    def collect(self, run: R, event: str) -> tuple[Json] | None:
        row = self._first(MAIL, self.key(run), event)
        if row is None:
            return None
        self._tell(COLLECT, self.key(run), event, row[0])
        return (decode(row[1]),)

    def close(self, run: R, columns: Columns, events: Sequence[Event]) -> None:
        if events:
            self._tell(ADD_EVENTS, self.key(run), run.seq + 1, len(events), self.now, dumps(events))
            run.seq += len(events)
        values = [run.status.value, run.active, run.timed, run.suspended, run.started_at, run.finished_at, run.seq]
        statement = SAVE_RUN
        if columns is RUN_END:
            statement += ", output = ?, error = ?"
            values += [encode(run.output), encode(run.error)]
        self._tell(f"{statement} WHERE id = ?", *values, run.id)
        self.texts.clear()

    def purge(self, older_than: float, most: int) -> int:
        chosen = choose_runs(self._ask(f"{OLD_RUNS} {self.dialect.lock}", self.now - older_than, most), most)
        for run_id in chosen:
            for table in TABLES:
                self._tell(f"DELETE FROM @{table} WHERE run = ?", run_id)
            self._tell("DELETE FROM @run WHERE id = ?", run_id)
        return len(chosen)


def choose_runs(rows: Iterable[Row], most: int) -> list[Any]:
    """Choose the runs to delete in one transaction: at least one, and about `most` events' worth.

    Args:
        rows: Key and number of events of each run, the oldest first.
        most: About how many events to delete.

    Returns:
        The keys.
    """
    chosen: list[Any] = []
    events = 0
    for key, seq in rows:
        events += seq
        if chosen and events > most:
            break
        chosen.append(key)
    return chosen
