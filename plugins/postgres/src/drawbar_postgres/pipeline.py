"""Connections in pipeline mode: statements are sent together, and their answers are read when they are needed.

psycopg's cursors send each statement by itself, even in a pipeline. A server that is woken for each of seven
statements takes longer than for all of them at once. So this module uses libpq as psycopg wraps it, in pipeline mode
all the time, with every statement prepared once. See https://www.postgresql.org/docs/current/libpq-pipeline-mode.html.
"""

from __future__ import annotations

import re
import select
from collections import deque
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

from drawbar.errors import ConfigurationError, StoreError, StoreRefused, StoreUnavailable, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar_postgres.options import Options

    Row = Sequence[Any]

SETTINGS = b"""
SELECT set_config('jit', 'off', false), set_config('enable_seqscan', 'off', false),
    set_config('idle_in_transaction_session_timeout', $1, false),
    set_config('synchronous_commit', coalesce($2, current_setting('synchronous_commit')), false)
"""
# Statements are short and indexed. A plan that was made while a table was empty must not read the whole table later.
# A process that stops in the middle of a transaction (frozen, or without power) must not keep its locks.

PASSING = ("08", "25006", "25P03", "53", "55", "57", "58")
"""The beginnings of error codes that say that the server cannot do it now."""
NOT_NOW = {
    "25006": "takes no writes, it is read-only (name the primary server in the store's URL)",
    "25P03": "ended a transaction that stood still too long",
    "57014": "took longer than its statement_timeout, or the statement was cancelled",
    "55P03": "could not get a lock within its lock_timeout",
    "53": "has not enough resources now",
    "55": "cannot do this now",
    "58": "has a system error",
}
"""The beginnings of error codes of a server that was reached, with what it means."""
REFUSAL = re.compile(
    r'(role|database|user) "[^"]*" (does not exist|is not permitted to log in)|authentication failed'
    r"|no password supplied|no pg_hba\.conf entry|permission denied for database|rejects connection"
)
"""Texts of libpq about a refused login. It has no code for that: psycopg gives the server's text alone."""
READ, WRITE = select.POLLIN, select.POLLOUT
SYNC, ABORTED = pq.ExecStatus.PIPELINE_SYNC, pq.ExecStatus.PIPELINE_ABORTED
FINE = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, SYNC})


class Answer:
    """The answer to a statement that was queued, once it has arrived."""

    __slots__ = ("_pipeline", "result")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.result: pq.abc.PGresult | None = None

    def rows(self) -> list[Row]:
        """Return the rows; wait for them."""
        return self._pipeline.rows(self)

    def row(self) -> Row | None:
        """Return the only row, or None when there is none; wait for it."""
        rows = self._pipeline.rows(self)
        return rows[0] if rows else None


class Pipeline:
    """One connection. Two threads must not use it at once.

    Attributes:
        fresh: True until it is used for the second time.
        committing: True once COMMIT was sent: from then on, it is unknown after an error whether it was done.
        idle_since: The time of its last use, in seconds of `time.monotonic`.

    Args:
        options: The options of the store's URL.

    Raises:
        StoreUnavailable: The server cannot be reached, or refuses the connection.
    """

    def __init__(self, options: Options) -> None:
        self.fresh = True
        self.committing = False
        self.idle_since = 0.0
        self._timeout = options.timeout
        self._prepared: dict[bytes, bytes] | None = {} if options.prepared else None
        self._names = count()
        self._sent: deque[Answer | bytes | None] = deque()
        """The answers to come: of a statement, of a text that is being prepared (bytes), of a sync (None)."""
        self._connection = connect(options)
        self.pg = self._connection.pgconn
        self._poll = select.poll()
        self._poll.register(self.pg.socket, READ)
        self._transformer = Transformer(self._connection)
        try:
            self.pg.enter_pipeline_mode()
            self.fetch(SETTINGS, f"{max(1000, int(options.timeout * 1000))}ms", options.synchronous_commit)
        except psycopg.Error as error:
            self.close()
            raise explained(error, options) from error

    @property
    def closed(self) -> bool:
        """True if the connection can no longer be used."""
        return self._connection.closed

    def fileno(self) -> int:
        """Return the file descriptor of the socket."""
        return self.pg.socket

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, text: bytes, *values: Any, once: bool = False) -> Answer:
        """Queue a statement. It is sent with the others when the first answer is needed.

        Args:
            text: The statement, with `$1` and so on where values belong.
            values: The values.
            once: True to plan it for these values, and for the tables as they are now; False to prepare it.

        Returns:
            The answer to come.
        """
        texts = [None if value is None else as_text(value) for value in values]
        if once or self._prepared is None:
            self.pg.send_query_params(text, texts)
        else:
            name = self._prepared.get(text)
            if name is None:
                name = self._prepared[text] = b"d%d" % next(self._names)
                self.pg.send_prepare(name, text)
                self._sent.append(text)
            self.pg.send_query_prepared(name, texts)
        answer = Answer(self)
        self._sent.append(answer)
        return answer

    def fetch(self, text: bytes, *values: Any, once: bool = False) -> list[Row]:
        """Send a statement, and wait for its rows."""
        return self.rows(self.send(text, *values, once=once))

    def rows(self, answer: Answer) -> list[Row]:
        """Return the rows of an answer; wait for it."""
        if answer.result is None:
            self.sync()
        result = answer.result
        if result is None or not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def sync(self) -> None:
        """Send what was queued, and wait for all answers.

        Raises:
            psycopg.Error: The first error among the answers.
        """
        # Not a flush: after a flush, the server would count this session as active, and a frozen process would keep its
        # locks for ever.
        self.pg.pipeline_sync()
        self._sent.append(None)
        self._flush()
        while self._sent:
            self._receive()

    def rollback(self) -> None:
        """End the transaction after an error, if there is one. Close the connection if that fails."""
        try:
            self._drain()
            if self.pg.transaction_status != pq.TransactionStatus.IDLE:
                self.send(b"ROLLBACK")
                self.sync()
        except psycopg.Error:
            self.close()

    def _drain(self) -> None:
        """Wait for all answers, as `sync`. Ignore errors, except those of the connection."""
        self.pg.pipeline_sync()
        self._sent.append(None)
        self._flush()
        while self._sent:
            try:
                self._receive()
            except psycopg.Error:
                if self.closed:
                    raise

    def _receive(self) -> None:
        """Wait for one answer."""
        pg = self.pg
        waiting = self._sent[0]
        failure = None
        while True:
            while pg.is_busy():
                self._wait(READ)
                pg.consume_input()
            result = pg.get_result()
            if result is None or result.status == SYNC:
                break
            if result.status not in FINE:
                failure = result
            if isinstance(waiting, Answer):
                waiting.result = result
        self._sent.popleft()
        if failure is not None:
            if isinstance(waiting, bytes) and self._prepared is not None:
                del self._prepared[waiting]
            raise _error(failure)

    def _flush(self) -> None:
        """Send what was queued."""
        while self.pg.flush():
            if self._wait(READ | WRITE) & ~WRITE:
                self.pg.consume_input()

    def _wait(self, events: int) -> int:
        """Wait until the socket can be read or written. Return the events that happened."""
        if events is not READ:
            self._poll.modify(self.pg.socket, events)
        deadline = monotonic() + self._timeout
        try:
            while True:
                ready = self._poll.poll(max(0.0, deadline - monotonic()) * 1000)
                if ready:
                    return ready[0][1]
                if monotonic() >= deadline:
                    self.close()  # a late answer would be taken for that of the next statement
                    raise psycopg.OperationalError(f"no answer for {self._timeout:g} s")
        finally:
            if events is not READ and not self.closed:
                self._poll.modify(self.pg.socket, READ)


def as_text(value: Any) -> bytes:
    """Return a value as PostgreSQL reads it."""
    if isinstance(value, list):
        return b"{%s}" % b",".join(map(_element, value))
    text = value.encode() if isinstance(value, str) else repr(value).encode()
    if b"\0" in text:
        raise psycopg.DataError(f"a name cannot have the character NUL in PostgreSQL: {value!r}")
    return text


def _element(value: Any) -> bytes:
    if value is None:
        return b"NULL"
    text = as_text(value)
    return b'"%s"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') if isinstance(value, str) else text


def _error(result: pq.abc.PGresult) -> psycopg.Error:
    if result.status == ABORTED:
        return psycopg.OperationalError("a statement before this one has failed")
    code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    text = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"unknown error").decode(errors="replace")
    try:
        kind = errors.lookup(code)
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(text)


def connect(options: Options) -> psycopg.Connection[Any]:
    """Make a connection.

    Raises:
        StoreUnavailable: The server cannot be reached, or refuses the connection.
        ConfigurationError: The encoding of the database cannot hold every text.
    """
    try:
        connection = psycopg.connect(**options.conninfo(), autocommit=True)
    except psycopg.Error as error:
        raise explained(error, options) from error
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        connection.close()
        raise ConfigurationError(
            f"{options.where} has the encoding {encoding}, which cannot hold every text; create a database with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in the store's URL"
        )
    return connection


def explained(error: psycopg.Error, options: Options, *, committing: bool = False) -> StoreError:
    """Return the error to raise for an error of psycopg: what is wrong, where, and what to do."""
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    code = error.sqlstate or ""
    if code.startswith(("28", "3D")) or (not code and REFUSAL.search(text)):
        return StoreRefused(f"{options.where} refuses the login: {text}. Check user, password and database in its URL")
    if code in ("42P01", "3F000", "42703"):  # no such table, schema, column
        return StoreVersionError(
            f"{options.where} has no Drawbar tables of this version in the schema {options.schema!r}: "
            f"run `drawbar store init --store {options.url}`"
        )
    if code == "42501":
        return StoreUnavailable(
            f"{options.where}: {text}; the README of drawbar-postgres tells which rights a role needs"
        )
    if code.startswith(PASSING) or (isinstance(error, psycopg.OperationalError) and not code):
        unknown = ". Whether the operation was carried out is unknown" if committing else ""
        now = next((hint for start, hint in NOT_NOW.items() if code.startswith(start)), "cannot be reached")
        return StoreUnavailable(f"{options.where} {now}: {text}{unknown}")
    return StoreError(f"{options.where} refuses: {text}")
