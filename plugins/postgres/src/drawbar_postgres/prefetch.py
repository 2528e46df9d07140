"""Prefetching: an operation asks at once for all that it is going to read.

A statement sees what was committed before it began. That is why one statement waits for the run's lock and another one
reads what belongs to the run, and why both can be sent together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.records import TIMED, Arrive, FanOut, NewTask
from drawbar.stores.sql import KIND, STATUS, TASK_COLUMNS, TASK_VALUES, SqlRows, SqlTask, decode, encode, read_task
from drawbar_postgres import reads
from drawbar_postgres.reads import DIALECT, PostgresRun, run_of, task_of
from drawbar_postgres.statements import (
    ADD_RUN,
    FOR_CLAIM,
    FOR_COMMIT,
    FOR_JOIN,
    LOCK_FREE,
    LOCK_HEAD,
    LOCK_MANY,
    LOCK_STATE,
    LOCK_WHOLE,
    NAMED,
    NOW,
    TAKEN,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from drawbar.records import NewRun, Transition
    from drawbar.stores.sql import Row
    from drawbar_postgres.pipeline import Answer, Pipeline
    from drawbar_postgres.schema import Statements

    Place = tuple[str, str]
    """Run id and address."""

TASK_WIDTH = len(TASK_COLUMNS + TASK_VALUES)


class PrefetchingRows(SqlRows[PostgresRun]):
    """The reading half of a transaction's rows: locks, and the rows that were read under them.

    Args:
        pipeline: The connection, in a transaction which the caller begins and ends.
        statements: The statements, of the schema in use.
        redispatch: See `Rows`.
    """

    dialect = DIALECT
    make_run = PostgresRun

    def __init__(self, pipeline: Pipeline, statements: Statements, redispatch: float) -> None:
        self._pipeline = pipeline
        self._statements = statements
        self.begin(0.0, redispatch)
        self.forget_reads()

    def forget_reads(self) -> None:
        """Forget what was read for the operation before. Runs stay, since they are locked."""
        self.texts = {}
        self._tasks: dict[Place, SqlTask | None] = {}
        self._taken: dict[Place, bool] = {}
        self._held: dict[Place, SqlTask | None] = {}
        self._arrived: dict[tuple[str, str, str], bool] = {}
        self._born: PostgresRun | None = None

    def send(self, text: str, *values: Any, once: bool = False) -> Answer:
        """Queue a statement, without waiting for its answer. See `Pipeline.send`."""
        return self._pipeline.send(self._statements[text], *values, once=once)

    def fetch(self, text: str, *values: Any, once: bool = False) -> list[Row]:
        """Send a statement, and wait for its rows."""
        return self.send(text, *values, once=once).rows()

    def ask(self, text: str, values: Sequence[Any]) -> list[Row]:
        """See `SqlRows`."""
        return self.send(text, *values).rows()

    def ask_once(self, text: str, values: Sequence[Any]) -> list[Row]:
        """See `SqlRows`."""
        return self.send(text, *values, once=True).rows()

    def tell(self, text: str, values: Sequence[Any]) -> None:
        """See `SqlRows`."""
        self.send(text, *values)

    def hint(self, transition: Transition) -> None:  # noqa: D102
        run_id, follows = transition.run_id, transition.next
        new = [extra.address for extra in transition.extra]
        address = None
        join, slot = None, ""
        if isinstance(follows, NewTask):
            address = follows.address
            if follows.status in TIMED:
                join = follows.fan
        elif isinstance(follows, Arrive):
            join, slot = follows.join, follows.slot
        elif isinstance(follows, FanOut):
            new += [follows.join, *(task.address for task in follows.tasks[: follows.window])]
        with_state = bool(transition.state) or transition.want_state
        lock = None
        if run_id not in self.runs:
            lock = self.send(LOCK_STATE if with_state else LOCK_HEAD, run_id)
        read = self.send(FOR_COMMIT, run_id, address, run_id, transition.address)
        taken = self.send(TAKEN, new, run_id) if new else None
        arrival = None if join is None else self.send(FOR_JOIN, run_id, join, slot, run_id, join, run_id, join)
        if lock is not None:
            self._locked(run_id, lock.row(), state=with_state)
        self.now, kind, status, attempt, failures, fan, known = read.row() or (0.0, *[None] * 6)
        task = None
        if kind is not None:
            task = SqlTask(run_id, transition.address, KIND[kind], STATUS[status])
            task.attempt = attempt
            task.failures = failures
            task.fan = fan
        self._tasks[run_id, transition.address] = task
        if taken is not None:
            self._taken = dict.fromkeys(((run_id, one) for one in new), False)
            self._taken.update(((run_id, one), True) for (one,) in taken.rows())
        if address is not None:
            self._taken[run_id, address] = known
        if arrival is not None and join is not None:
            arrived, *row = arrival.row() or (False, None)
            self._arrived[run_id, join, slot] = arrived
            self._tasks[run_id, join] = self._found(run_id, row[:TASK_WIDTH])
            self._held[run_id, join] = self._found(run_id, row[TASK_WIDTH:])

    def _found(self, run_id: str, row: Row) -> SqlTask | None:
        """Return the task of a row, or None: a row of NULLs stands for no task."""
        return task_of(run_id, row) if row and row[0] is not None else None

    def prefetch_claim(self, run_id: str, address: str) -> None:
        """Lock a run and read one of its tasks, with all their values."""
        known = self.runs.get(run_id)
        lock = None if known is not None and known.whole else self.send(LOCK_WHOLE, run_id)
        read = self.send(FOR_CLAIM, run_id, address)
        if lock is not None:
            self._locked(run_id, lock.row(), whole=True)
        self.now, *row = read.row() or (0.0, None)
        self._tasks[run_id, address] = self._found(run_id, row)

    def prefetch_create(self, new: NewRun) -> None:
        """Create the run before `create` looks for it: of two callers that try, one waits here for the other."""
        metadata = new.metadata or None
        values = (
            new.id, new.workflow_id, new.fingerprint, new.forked_from, encode(new.input), encode(new.state or None),
            encode(metadata), reads.labels(metadata),
        )  # fmt: skip
        while (row := self.send(ADD_RUN, *values).row()) is None:
            there = self.send(LOCK_WHOLE, new.id).row()
            if there is not None:  # else it was purged in between, and the id is free
                self._locked(new.id, there, whole=True)
                return
        run = PostgresRun(new.id, new.workflow_id, new.fingerprint, whole=True, has_state=True)
        (self.now,) = row
        run.created_at = self.now
        run.input = new.input
        run.state = dict(new.state)
        run.metadata = dict(new.metadata)
        run.forked_from = new.forked_from
        self.runs[new.id] = None  # until it is added
        self._born = run

    def prefetch_tasks(self, places: Collection[Place], *, busy: bool = True, limit: int | None = None) -> None:
        """Lock the runs of some tasks, and read the tasks. From now on a task that was not found counts as missing.

        Every transaction that waits for several runs locks them in the order of their ids. Otherwise two of them could
        wait for each other. One that does not wait takes those of the first places.

        Args:
            places: The tasks.
            busy: True to wait for runs that are locked; False to leave them out.
            limit: How many runs to lock at the most, when `busy` is False.
        """
        ids = list(dict.fromkeys(run_id for run_id, _ in places))
        if busy:
            ids.sort()
        lock = self.send(LOCK_MANY, ids, once=True) if busy else self.send(LOCK_FREE, ids, limit, once=True)
        read = self.send(NAMED, [run_id for run_id, _ in places], [address for _, address in places], once=True)
        clock = self.send(NOW)
        self.runs = dict.fromkeys(ids)
        for row in lock.rows():
            run = run_of(row)
            self.runs[run.id] = run
        self._tasks = dict.fromkeys(places)
        for run_id, *row in read.rows():
            if self.runs[run_id] is not None:
                self._tasks[run_id, row[0]] = read_task(run_id, row)
        ((self.now,),) = clock.rows()

    def _prefetched(self) -> Sequence[SqlTask]:
        """Return the tasks that `prefetch_tasks` has found, in the order of its `places`."""
        return [task for task in self._tasks.values() if task is not None]

    def _locked(self, run_id: str, row: Row | None, *, whole: bool = False, state: bool = False) -> None:
        if row is None:
            self.runs[run_id] = None
            return
        run = self.runs[run_id] = run_of(row[:-1] if state else row, whole=whole)
        if state:
            run.state = decode(row[-1]) or {}
            run.has_state = True
