"""The resources of a store in one process: connections, batches, the listener; and how a transaction is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors

from drawbar.errors import StoreUnavailable, StoreVersionError
from drawbar_postgres import schema
from drawbar_postgres.batching import Batcher
from drawbar_postgres.listener import Listener
from drawbar_postgres.pipeline import Pipeline, explained
from drawbar_postgres.pool import Pool
from drawbar_postgres.reads import PostgresReader
from drawbar_postgres.rows import PostgresRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar.stores.jobs import Job
    from drawbar.stores.sql import Row
    from drawbar_postgres.options import Options
    from drawbar_postgres.schema import Statements

T = TypeVar("T")

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Set for each transaction, whatever the default of the role: a statement that waited for a lock has to see the commit
that it waited for."""
TRIES = 5
"""Attempts at a transaction that is known not to have been committed."""


class ProcessState:
    """The resources of one process. A forked child makes its own.

    Attributes:
        pid: The id of the process.
        pool: The connections.
        listener: Receives the notifications of commits in any process.
        batcher: Puts operations on one run into one transaction.

    Args:
        options: The options of the store's URL.
        statements: The statements, of the schema in use.
    """

    def __init__(self, options: Options, statements: Statements) -> None:
        self.pid = os.getpid()
        self.pool = Pool(options)
        self.listener = Listener(options, statements)
        self.batcher = Batcher()
        self._options = options
        self._statements = statements

    def check(self) -> None:
        """Connect, and check the tables; create them where there are none.

        Raises:
            StoreUnavailable: The server cannot be reached.
            StoreVersionError: The tables are of another version, or cannot be created.
        """
        try:
            found = self.read(PostgresReader.version)
        except StoreVersionError:
            found = 0
        schema.check(found, self._options)

    def carry_out(self, jobs: Sequence[Job], redispatch: float) -> None:
        """Carry out jobs in one transaction, or in one each when the error may be that of one job only.

        Every job is `done` afterwards; its `error` is set when it failed.

        Args:
            jobs: Operations on one run.
            redispatch: See `Store`.
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
        """Carry out an operation in a transaction.

        Args:
            operation: Is called with the rows and the other arguments.
            redispatch: See `Store`.
            *args: Further arguments.
            **options: Further arguments by name.

        Returns:
            The result of the operation.

        Raises:
            StoreUnavailable: The server cannot be reached. When that happens while committing, it is unknown whether
                the operation was carried out.
        """

        def work(pipeline: Pipeline) -> T:
            try:
                rows = PostgresRows(pipeline, self._statements, redispatch)
                rows.send(BEGIN)
                result = operation(rows, *args, **options)
                pipeline.committing = True
                rows.send("COMMIT")
                pipeline.sync()
            except BaseException as error:
                _mend(pipeline, error)
                raise
            return result

        return self._with_pipeline(work)

    def read(self, question: Callable[[PostgresReader], T]) -> T:
        """Answer a question that changes nothing.

        Args:
            question: Is called with the reader.

        Raises:
            StoreUnavailable: The server cannot be reached.
            StoreVersionError: There are no tables.
        """

        def work(pipeline: Pipeline) -> T:
            def send(text: str, *values: Any, once: bool = False) -> list[Row]:
                return pipeline.fetch(self._statements[text], *values, once=once)

            try:
                return question(PostgresReader(send))
            except BaseException as error:
                _mend(pipeline, error)
                raise

        return self._with_pipeline(work)

    def _with_pipeline(self, work: Callable[[Pipeline], T]) -> T:
        for left in reversed(range(TRIES)):
            with self.pool.use() as pipeline:
                try:
                    return work(pipeline)
                except psycopg.Error as error:
                    if not (left and _surely_undone(error, pipeline)):
                        raise explained(error, self._options, committing=pipeline.committing) from error
        raise AssertionError

    def close(self) -> None:
        """Close the connections and stop the listener."""
        self.listener.close()
        self.pool.close()


def _mend(pipeline: Pipeline, error: BaseException) -> None:
    """Make a connection usable again after an error, or close it."""
    if not isinstance(error, Exception):
        # It was interrupted at an unknown place. The next caller could commit half a transaction with it.
        pipeline.close()
    elif not pipeline.closed:
        pipeline.rollback()


def _surely_undone(error: psycopg.Error, pipeline: Pipeline) -> bool:
    """Return True if the transaction was certainly not committed and may succeed when it is tried again."""
    if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
        return True
    # A connection that was idle may be dead: the server was restarted, or a firewall dropped it.
    return pipeline.closed and not pipeline.fresh and not pipeline.committing


def _together(rows: PostgresRows, jobs: Sequence[Job]) -> None:
    for job in jobs:
        rows.forget_reads()
        job.run(rows)
