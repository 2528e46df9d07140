"""What a store has in one process: connections, who waits for what, and how a transaction is carried out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors

from drawbar.errors import DrawbarError, StoreUnavailable, StoreVersionError
from drawbar_postgres import reads, schema
from drawbar_postgres.ears import Ears
from drawbar_postgres.lanes import Job, Lanes
from drawbar_postgres.pool import Pool
from drawbar_postgres.rows import PostgresRows
from drawbar_postgres.wire import Wire, explained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar_postgres.options import Options
    from drawbar_postgres.reads import Row
    from drawbar_postgres.schema import Texts

T = TypeVar("T")

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Whatever is the default of the role or the database: what waited for a lock has to see what the lock was for."""
TRIES = 5
"""How often a transaction is tried that is known not to have been carried out."""


class Here:
    """See the module.

    Attributes:
        pid: The process.
        pool: Its connections.
        ears: Hears what commits of any process tell.
        lanes: Who is at work on which run.

    Args:
        options: Where the server is.
        texts: The statements.
    """

    def __init__(self, options: Options, texts: Texts) -> None:
        self.pid = os.getpid()
        self.pool = Pool(options)
        self.ears = Ears(options, texts)
        self.lanes = Lanes()
        self._options = options
        self._texts = texts

    def check(self) -> None:
        """Connects, and looks whether the tables are there.

        Raises:
            StoreUnavailable: The server cannot be reached.
            StoreVersionError: They are not of our version, or not there and cannot be created.
        """
        try:
            found = self.read(reads.version)
        except StoreVersionError:
            found = 0
        schema.check(found, self._options)

    def carry_out(self, jobs: Sequence[Job], redispatch: float) -> None:
        """Carries out jobs in one transaction.

        In one each, when that fails for a reason that need not be that of all.
        """
        try:
            self.transact(_together, redispatch, jobs)
        except Exception as error:  # noqa: BLE001
            if len(jobs) > 1 and not isinstance(error, StoreUnavailable):
                for job in jobs:
                    self.carry_out([job], redispatch)
            else:
                for job in jobs:
                    job.error = error
        for job in jobs:
            job.done = True

    def transact(self, operation: Callable[..., T], redispatch: float, *args: Any, **options: Any) -> T:
        """Carries out an operation over rows in a transaction of its own.

        Raises:
            StoreUnavailable: The server cannot be reached. If that was while committing, whether it was done is
                unknown.
        """

        def work(wire: Wire) -> T:
            try:
                rows = PostgresRows(wire, self._texts, redispatch)
                rows.tell(BEGIN)
                result = operation(rows, *args, **options)
                wire.committing = True
                rows.tell("COMMIT")
                wire.sync()
            except BaseException as error:
                _mend(wire, error)
                raise
            return result

        return self._with_wire(work)

    def read(self, query: Callable[..., T], *args: Any) -> T:
        """Asks something that changes nothing."""

        def work(wire: Wire) -> T:
            def ask(text: str, *values: Any, once: bool = False) -> list[Row]:
                return wire.ask(self._texts[text], *values, once=once)

            try:
                return query(ask, *args)
            except BaseException as error:
                _mend(wire, error)
                raise

        return self._with_wire(work)

    def _with_wire(self, work: Callable[[Wire], T]) -> T:
        for left in reversed(range(TRIES)):
            with self.pool.use() as wire:
                try:
                    return work(wire)
                except psycopg.Error as error:
                    if not (left and _surely_undone(error, wire)):
                        raise explained(error, self._options, committing=wire.committing) from error
        raise AssertionError

    def close(self) -> None:
        """Lets go of all of it."""
        self.ears.close()
        self.pool.close()


def _mend(wire: Wire, error: BaseException) -> None:
    """Has a connection begin anew after an error."""
    if not isinstance(error, Exception):
        wire.close()  # interrupted wherever it was: the next to use it would commit half a transaction
    elif not wire.closed:
        wire.undo()


def _surely_undone(error: psycopg.Error, wire: Wire) -> bool:
    """Whether it is sure that a transaction was not carried out, and worth to try it again."""
    if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
        return True
    # A connection that was idle may be dead without our knowing: the server was restarted, or somebody dropped it.
    return wire.closed and not wire.fresh and not wire.committing


def _together(rows: PostgresRows, jobs: Sequence[Job]) -> None:
    """Carries out several operations. What one refuses, before it changes anything, is its own result."""
    for job in jobs:
        job.result = job.error = None
        rows.forget_reads()
        try:
            job.result = job.operation(rows)
        except DrawbarError as error:
            job.error = error
