"""The store: opening the file, transactions, and reading."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import lmdb

from drawbar.errors import StoreUnavailable
from drawbar.stores.rows import Reader
from drawbar.stores.rows_store import ThreadedRowsStore
from drawbar_lmdb.documents import Documents
from drawbar_lmdb.rows import LmdbRows

P = ParamSpec("P")
T = TypeVar("T")

_files: WeakValueDictionary[Path, lmdb.Environment] = WeakValueDictionary()
"""The open files of this process. LMDB forbids opening a file twice, so stores share them."""
_opening = threading.Lock()


class LmdbStore(ThreadedRowsStore):
    """Runs in an LMDB file.

    Attributes:
        clock: Returns the time in seconds since the epoch. Tests replace it.

    Args:
        path: The file.
        size: Its largest size in MiB.
    """

    def __init__(self, path: Path, size: int) -> None:
        super().__init__()
        self.clock: Callable[[], float] = time.time
        self._path = path
        self._size = size
        self._opened: tuple[int, lmdb.Environment] | None = None

    async def open(self) -> None:
        """Open the file. Create it where there is none."""
        await self._read(lambda reader: None)

    async def close(self) -> None:
        """Close the file, unless other stores of this process use it too."""
        self._opened = None

    def _file(self) -> lmdb.Environment:
        opened = self._opened
        if opened is None or opened[0] != os.getpid():  # a forked child opens the file anew
            with _opening:
                file = _files.get(self._path)
                if file is None:
                    file = _files[self._path] = lmdb.open(str(self._path), map_size=self._size << 20, subdir=False)
                    file.reader_check()  # removes the readers of processes that have died
                opened = self._opened = os.getpid(), file
        return opened[1]

    def _transact(self, operation: Callable[Concatenate[LmdbRows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self._file().begin(write=True) as transaction:  # commits, or aborts when the operation raises
                return operation(self._rows(transaction), *args, **kwargs)
        except lmdb.Error as error:
            raise self._unavailable(error) from error

    def _answer(self, question: Callable[[Reader], T]) -> T:
        try:
            with self._file().begin() as transaction:
                return question(self._rows(transaction))
        except lmdb.Error as error:
            raise self._unavailable(error) from error

    def _rows(self, transaction: "lmdb.Transaction[bytes]") -> LmdbRows:
        return LmdbRows(Documents(transaction), self.clock(), self.redispatch)

    def _unavailable(self, error: lmdb.Error) -> StoreUnavailable:
        todo = "check that its folder is there, that this user may write it, and that the disk is not full"
        if isinstance(error, lmdb.MapFullError):
            todo = "purge old runs, or give the store's URL a larger size (?size=MiB)"
        return StoreUnavailable(f"store {self._path}: {error}; {todo}")


def _after_fork() -> None:
    """Close the parent's files in a forked child: LMDB forbids using them there."""
    global _opening
    _opening = threading.Lock()
    for file in list(_files.values()):
        file.close()
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
