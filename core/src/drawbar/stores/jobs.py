"""Operations that wait for their turn, for stores that put several of them into one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import DrawbarError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Job:
    """An operation, and its outcome once it was carried out.

    Attributes:
        done: True when the operation was carried out, by the caller that made it or by another one.
        result: The result of the operation.
        error: The error that the operation raised, or None.

    Args:
        operation: Is called with the store's rows and the other arguments.
        args: Further arguments.
        kwargs: Further arguments by name.
    """

    __slots__ = ("args", "done", "error", "kwargs", "operation", "result")

    def __init__(
        self, operation: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs or {}
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, rows: Any) -> None:
        """Carry out the operation, and keep what it returns.

        A DrawbarError is kept as its outcome: an operation refuses before it changes anything, so the transaction can
        go on with the next one. Every other error is raised.

        Args:
            rows: The store's rows, in the transaction that the operation belongs to.
        """
        self.result = self.error = None
        try:
            self.result = self.operation(rows, *self.args, **self.kwargs)
        except DrawbarError as error:
            self.error = error

    def outcome(self) -> Any:
        """Return the result of the operation, or raise its error.

        Raises:
            DrawbarError: The operation has refused (`RunNotFound`, `NotSuspended` and so on).
        """
        if self.error is not None:
            raise self.error
        return self.result
