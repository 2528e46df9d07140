"""What a store has in one process: connections, who waits for what, and how a transaction is carried out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from drawbar.errors import DrawbarError, StoreUnavailable
from drawbar_postgres.ears import Ears
from drawbar_postgres.lanes import Job, Lanes
from drawbar_postgres.link import Link, Pool, explained, surely_undone
from drawbar_postgres.options import Options
from drawbar_postgres.reads import Row
from drawbar_postgres.rows import PostgresRows
from drawbar_postgres.schema import Texts, check

T = TypeVar("T")

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
        self._with_link(lambda link: check(link, self._options))

    def carry_out(self, jobs: Sequence[Job], redispatch: float) -> None:
        """Carries out jobs in one transaction; in one each, when that fails for a reason that need not be that of all."""
        try:
            self.transact(_together, redispatch, jobs)
        except Exception as error:  # noqa: BLE001 - is raised where it belongs
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
            StoreUnavailable: The server cannot be reached. If that was while committing, whether it was done is unknown.
        """

        def work(link: Link) -> T:
            rows = PostgresRows(link, self._texts, redispatch)
            rows.tell("BEGIN")
            result = operation(rows, *args, **options)
            rows.flush()
            link.committing = True
            rows.tell("COMMIT")
            return result

        return self._with_link(lambda link: _in_pipeline(link, work))

    def read(self, query: Callable[..., T], *args: Any) -> T:
        """Asks something that changes nothing."""

        def work(link: Link) -> T:
            def ask(text: str, *values: Any) -> Sequence[Row]:
                return link.execute(self._texts[text], values).fetchall()

            return query(ask, *args)

        return self._with_link(work)

    def _with_link(self, work: Callable[[Link], T]) -> T:
        for left in reversed(range(TRIES)):
            link = self.pool.take()
            try:
                return work(link)
            except psycopg.Error as error:
                if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
                    link.close()  # it may only be slow; what is still to come would be taken for the next answer
                if not (left and surely_undone(error, link)):
                    raise explained(error, self._options) from error
            finally:
                self.pool.give(link)
        raise AssertionError

    def close(self) -> None:
        """Lets go of all of it."""
        self.ears.close()
        self.pool.close()


def _in_pipeline(link: Link, work: Callable[[Link], T]) -> T:
    """Does something in pipeline mode, and ends the transaction if it fails."""
    failure: Exception | None = None
    result: T
    try:
        with link.pipeline():
            try:
                result = work(link)
            except Exception as error:  # noqa: BLE001 - raised below: psycopg would complain that it has to leave the pipeline
                failure = error
    except psycopg.Error as error:
        failure = failure or error
    if failure is None:
        return result
    if not link.closed and link.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        try:
            link.rollback()
        except psycopg.Error:
            link.close()
    raise failure


def _together(rows: PostgresRows, jobs: Sequence[Job]) -> None:
    """Carries out several operations. What one refuses, before it changes anything, is its own result."""
    for job in jobs:
        job.result = job.error = None
        rows.forget_reads()
        try:
            job.result = job.operation(rows)
        except DrawbarError as error:
            job.error = error
