"""A connection as this store uses it: statements are sent together, and what they answer is read when it is needed.

psycopg's cursors send each statement by itself, even in a pipeline: a server that is woken for each of seven
statements takes longer than for all of them. So this is libpq, as psycopg wraps it: in pipeline mode from beginning to
end, every statement prepared once.
"""

from __future__ import annotations

import select
from collections import deque
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

from drawbar.errors import StoreError, StoreUnavailable, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar_postgres.options import Options

    Row = Sequence[Any]

SETTINGS = b"""
SELECT set_config('jit', 'off', false), set_config('enable_seqscan', 'off', false),
    set_config('idle_in_transaction_session_timeout', $1, false),
    set_config('synchronous_commit', coalesce($2, current_setting('synchronous_commit')), false)
"""
# Statements are short and indexed; a plan that was made while a table was empty must not read it whole when it is not.
# Whoever stops in the middle of a transaction (a frozen process, a host without power) must not keep its locks.

PASSING = ("08", "25006", "25P03", "53", "55", "57", "58")
"""Codes of errors that say that the server cannot do it now."""
READ, WRITE = select.POLLIN, select.POLLOUT
SYNC, ABORTED = pq.ExecStatus.PIPELINE_SYNC, pq.ExecStatus.PIPELINE_ABORTED
FINE = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, SYNC})


class Answer:
    """What a statement will answer."""

    __slots__ = ("_wire", "result")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.result: pq.abc.PGresult | None = None

    def rows(self) -> list[Row]:
        """The rows; waits for them."""
        return self._wire.rows(self)

    def row(self) -> Row | None:
        """The only row, or None when there is none."""
        rows = self._wire.rows(self)
        return rows[0] if rows else None


class Wire:
    """One connection. Not for two threads at once.

    Attributes:
        fresh: Whether it has not been used before.
        committing: Whether a commit was sent: from then on, an error says nothing about whether it was done.
        idle_since: When it was last used.

    Args:
        options: Where the server is.

    Raises:
        StoreUnavailable: The server cannot be reached, or refuses us.
    """

    def __init__(self, options: Options) -> None:
        self.fresh = True
        self.committing = False
        self.idle_since = 0.0
        self._timeout = options.timeout
        self._prepared: dict[bytes, bytes] | None = {} if options.prepared else None
        self._names = count()
        self._sent: deque[Answer | bytes | None] = deque()
        """What has no answer as yet: statements, texts that are being prepared, None for a sync."""
        self._link = connect(options)
        self.pg = self._link.pgconn
        self._poll = select.poll()
        self._poll.register(self.pg.socket, READ)
        self._transformer = Transformer(self._link)
        try:
            self.pg.enter_pipeline_mode()
            self.ask(SETTINGS, f"{max(1000, int(options.timeout * 1000))}ms", options.synchronous_commit)
        except psycopg.Error as error:
            self.close()
            raise explained(error, options) from error

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return self._link.closed

    def fileno(self) -> int:
        """Of the socket."""
        return self.pg.socket

    def close(self) -> None:
        """Closes it."""
        self._link.close()

    def tell(self, text: bytes, *values: Any, once: bool = False) -> Answer:
        """Takes a statement to be sent. It is, when the first answer is wanted.

        Args:
            text: The statement, with `$1` and so on where values belong.
            values: The values.
            once: To be planned for these values, and for the tables as they are now; else once for all.
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

    def ask(self, text: bytes, *values: Any, once: bool = False) -> list[Row]:
        """Sends a statement, and waits for its rows."""
        return self.rows(self.tell(text, *values, once=once))

    def rows(self, answer: Answer) -> list[Row]:
        """The rows of an answer; waits for it."""
        if answer.result is None:
            self.sync()
        result = answer.result
        if result is None or not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def sync(self) -> None:
        """Sends what was told, and waits for all answers. Raises the first error there was."""
        # Not a flush: to the server we would be at work after that, and a frozen process would keep its locks for ever.
        self.pg.pipeline_sync()
        self._sent.append(None)
        self._flush()
        while self._sent:
            self._receive()

    def undo(self) -> None:
        """After an error: ends the transaction, if there is one; closes the connection, if that cannot be done."""
        try:
            self._drain()
            if self.pg.transaction_status != pq.TransactionStatus.IDLE:
                self.tell(b"ROLLBACK")
                self.sync()
        except psycopg.Error:
            self.close()

    def _drain(self) -> None:
        """As `sync`, whatever errors there are but those of the connection."""
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
        """Waits for one answer."""
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
        """Sends what was told."""
        while self.pg.flush():
            if self._wait(READ | WRITE) & ~WRITE:
                self.pg.consume_input()

    def _wait(self, what: int) -> int:
        """Waits until the socket can be read or written."""
        if what is not READ:
            self._poll.modify(self.pg.socket, what)
        deadline = monotonic() + self._timeout
        try:
            while True:
                ready = self._poll.poll(max(0.0, deadline - monotonic()) * 1000)
                if ready:
                    return ready[0][1]
                if monotonic() >= deadline:
                    self.close()  # an answer that comes too late would be taken for the next
                    raise psycopg.OperationalError(f"no answer for {self._timeout:g} s")
        finally:
            if what is not READ and not self.closed:
                self._poll.modify(self.pg.socket, READ)


def as_text(value: Any) -> bytes:
    """A value as PostgreSQL reads it."""
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
    """Makes a connection.

    Raises:
        StoreUnavailable: The server cannot be reached, or refuses us.
    """
    try:
        return psycopg.connect(**options.conninfo(), autocommit=True)
    except psycopg.Error as error:
        raise explained(error, options) from error


def explained(error: psycopg.Error, options: Options, *, committing: bool = False) -> StoreError:
    """What an error means, with where and what to do."""
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    code = error.sqlstate or ""
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
        return StoreUnavailable(f"{options.where} cannot be reached: {text}{unknown}")
    return StoreError(f"{options.where} refuses: {text}")
