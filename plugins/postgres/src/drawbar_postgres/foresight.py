"""What an operation is going to read, asked for at once.

A statement sees what was committed before it began. That is why what belongs to a run is read by another statement
than the one that waits for the run's lock, and why both can be sent together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.records import Arrive, FanOut, Json, NewTask
from drawbar.stores.rows import Rows
from drawbar_postgres import reads
from drawbar_postgres.reads import KIND, STATUS, TASK, TASK_VALUES, PostgresRun, PostgresTask, encode, run_of, task_of
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
    from drawbar_postgres.reads import Row
    from drawbar_postgres.schema import Texts
    from drawbar_postgres.wire import Answer, Wire

    Place = tuple[str, str]
    """Run id and address."""


class Foresight(Rows[PostgresRun]):
    """The reading half of a transaction's rows: locks, and what was read under them.

    Args:
        wire: The connection, in a transaction which the caller begins and ends.
        texts: The statements, of the schema that is meant.
        redispatch: See `Rows`.
    """

    def __init__(self, wire: Wire, texts: Texts, redispatch: float) -> None:
        self.now = 0.0
        self.redispatch = redispatch
        self._wire = wire
        self._texts = texts
        self._runs: dict[str, PostgresRun | None] = {}
        self.forget_reads()

    def forget_reads(self) -> None:
        """Forgets what was read for the operation before; runs stay, being locked."""
        self._tasks: dict[Place, PostgresTask | None] = {}
        self._taken: dict[Place, bool] = {}
        self._held: dict[Place, PostgresTask | None] = {}
        self._arrived: dict[tuple[str, str, str], bool] = {}
        self._born: PostgresRun | None = None
        self._json: dict[int, tuple[Json, str]] = {}

    def tell(self, text: str, *values: Any, once: bool = False) -> Answer:
        """Takes a statement to be sent, and does not wait for it."""
        return self._wire.tell(self._texts[text], *values, once=once)

    def ask(self, text: str, *values: Any, once: bool = False) -> list[Row]:
        """Sends a statement, and waits for its rows."""
        return self.tell(text, *values, once=once).rows()

    def hint(self, transition: Transition) -> None:  # noqa: D102
        run_id, follows = transition.run_id, transition.next
        new = [extra.address for extra in transition.extra]
        address = None
        join, slot = transition.pull, ""
        if isinstance(follows, NewTask):
            address = follows.address
        elif isinstance(follows, Arrive):
            join, slot = follows.join, follows.slot
        elif isinstance(follows, FanOut):
            new += [follows.join, *(task.address for task in follows.tasks[: follows.window])]
        with_state = bool(transition.state) or transition.want_state
        lock = None
        if run_id not in self._runs:
            lock = self.tell(LOCK_STATE if with_state else LOCK_HEAD, run_id)
        read = self.tell(FOR_COMMIT, run_id, address, run_id, transition.address)
        taken = self.tell(TAKEN, new, run_id) if new else None
        arrival = None if join is None else self.tell(FOR_JOIN, run_id, join, slot, run_id, join, run_id, join)
        if lock is not None:
            self._locked(run_id, lock.row(), state=with_state)
        self.now, kind, status, attempt, failures, known = read.row() or (0.0, *[None] * 5)
        task = None
        if kind is not None:
            task = PostgresTask(run_id, transition.address, KIND[kind], STATUS[status])
            task.attempt = attempt
            task.failures = failures
        self._tasks[run_id, transition.address] = task
        if taken is not None:
            self._taken = dict.fromkeys(((run_id, one) for one in new), False)
            self._taken.update(((run_id, one), True) for (one,) in taken.rows())
        if address is not None:
            self._taken[run_id, address] = known
        if arrival is not None and join is not None:
            arrived, *row = arrival.row() or (False, None)
            width = len(TASK) + len(TASK_VALUES)
            self._arrived[run_id, join, slot] = arrived
            self._tasks[run_id, join] = self._found(run_id, row[:width])
            self._held[run_id, join] = self._found(run_id, row[width:])

    def _found(self, run_id: str, row: Row) -> PostgresTask | None:
        """The task of a row that has nothing but NULL when there is none."""
        return task_of(run_id, row, whole=True) if row and row[0] is not None else None

    def foresee_claim(self, run_id: str, address: str) -> None:
        """Locks a run and reads a task of it, with all their values."""
        known = self._runs.get(run_id)
        lock = None if known is not None and known.whole else self.tell(LOCK_WHOLE, run_id)
        read = self.tell(FOR_CLAIM, run_id, address)
        if lock is not None:
            self._locked(run_id, lock.row(), whole=True)
        self.now, *row = read.row() or (0.0, None)
        self._tasks[run_id, address] = self._found(run_id, row)

    def foresee_create(self, new: NewRun) -> None:
        """Creates the run, before anybody asks whether it is there: of two who try, one waits here for the other."""
        metadata = new.metadata or None
        values = (
            new.id, new.workflow_id, new.fingerprint, new.forked_from, encode(new.input), encode(new.state or None),
            encode(metadata), reads.labels(metadata),
        )  # fmt: skip
        while (row := self.tell(ADD_RUN, *values).row()) is None:
            there = self.tell(LOCK_WHOLE, new.id).row()
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
        self._runs[new.id] = None  # until it is added
        self._born = run

    def foresee_many(self, places: Collection[Place], *, busy: bool = True, limit: int | None = None) -> None:
        """Locks the runs of some tasks, and reads the tasks: what is not there is known as missing.

        Runs are locked in the order in which all do who lock several, or they would wait for each other in a circle.

        Args:
            places: The tasks.
            busy: Whether to wait for runs that somebody else has locked; else they are left out.
            limit: How many runs to lock at the most.
        """
        ids = sorted({run_id for run_id, _ in places})
        lock = self.tell(LOCK_MANY, ids, once=True) if busy else self.tell(LOCK_FREE, ids, limit, once=True)
        read = self.tell(NAMED, [run_id for run_id, _ in places], [address for _, address in places], once=True)
        clock = self.tell(NOW)
        self._runs = dict.fromkeys(ids)
        for row in lock.rows():
            run = run_of(row)
            self._runs[run.id] = run
        self._tasks = dict.fromkeys(places)
        for run_id, *row in read.rows():
            if self._runs[run_id] is not None:
                self._tasks[run_id, row[0]] = task_of(run_id, row)
        ((self.now,),) = clock.rows()

    def _foreseen(self) -> Sequence[PostgresTask]:
        """The tasks that `foresee_many` has found, in the order that was asked for."""
        return [task for task in self._tasks.values() if task is not None]

    def _locked(self, run_id: str, row: Row | None, *, whole: bool = False, state: bool = False) -> None:
        if row is None:
            self._runs[run_id] = None
            return
        run = self._runs[run_id] = run_of(row[:-1] if state else row, whole=whole)
        if state:
            run.state = reads.decode(row[-1]) or {}
            run.has_state = True
