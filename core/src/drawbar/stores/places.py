"""The places of fan-outs: which slots of a join hold one, and which task gets one that is free.

A slot of a fan-out holds one thing at a time: a task, or the join of a fan-out inside it. Its *level* says how much of
that goes on. It is `ACTIVE` when a task there is in ACTIVE or RETRYING, else `TIMED` when one is in TIMED, else
`SUSPENDED`. The level of a join is the highest one of its slots. A join counts its slots that are `TIMED` and
`SUSPENDED`; every other slot that has begun and has not arrived is active. So a plain fan-out writes nothing for this,
and a slot that begins or ends to wait costs the same, however many others wait.

An active slot holds a place of its join. One that is `TIMED` keeps its place if the join has a limit (`Task.places`).
A slot that gives up its place passes it on: to the first RESUMED task that waits for one there, else to the first HELD
task. So when any task waits for a place of a join, all places of that join are in use.

A join without a limit has no RESUMED tasks: what wakes or is resumed there goes on at once.
"""

from __future__ import annotations

from typing import Protocol

from drawbar.records import RunRecord, Task, TaskStatus
from drawbar.stores.rows import PLACES, QUEUE, AnyRows

SUSPENDED, TIMED, ACTIVE = 0, 1, 2
"""Levels."""
JOINING, RESUMED = TaskStatus.JOINING, TaskStatus.RESUMED


def level(join: Task) -> int:
    """Return the level of a join whose slots have not all arrived.

    Args:
        join: The join. When a task waits for a place of it, all its places are in use.
    """
    if join.remaining > join.timed + join.suspended and (not join.places or join.timed < join.places):
        return ACTIVE
    return TIMED if join.timed else SUSPENDED


def is_full(join: Task) -> bool:
    """Return True if a join has a limit, and all its places are in use.

    Args:
        join: The join. When a task waits for a place of it, all its places are in use.
    """
    return 0 < join.places <= join.remaining - join.suspended


class Operation(Protocol):
    """One operation on one run, as `Places` sees it. See `drawbar.stores.change.Change`.

    Attributes:
        rows: The rows.
        run: The head of the run.
    """

    rows: AnyRows
    run: RunRecord

    def begin(self, task: Task) -> None:
        """Make a task SCHEDULED that has got a place."""

    def pull(self, join: str) -> None:
        """Make the first HELD task of a join SCHEDULED."""

    def turn(self) -> int:
        """Return a number that grows with each event of the run."""


class Places:
    """The places of one run's fan-outs, in one operation.

    Args:
        operation: The operation. It makes the tasks SCHEDULED that get a place.
    """

    __slots__ = ("_joins", "_operation")

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._joins: dict[str, Task] = {}

    def fall(self, fan: str | None, to: int) -> None:
        """Note that an active slot begins to wait. A place that it gives up goes to another slot.

        Args:
            fan: The address of the slot's join, or None.
            to: The new level of the slot: TIMED or SUSPENDED.
        """
        while fan is not None:
            join = self._join(fan)
            if join is None:
                return
            if to is TIMED:
                join.timed += 1
            else:
                join.suspended += 1
            if to is SUSPENDED or not join.places:
                self._pass_on(join)
            to = self._save(join)
            if to is ACTIVE:
                return
            fan = join.fan

    def arrive(self, join: Task) -> None:
        """Note that an active slot has arrived at a join where others wait. Its place goes to another slot.

        Args:
            join: The head of the join; its `remaining` is one less already, and not zero.
        """
        self._joins[join.address] = join
        self._pass_on(join)
        to = self._save(join)
        if to is not ACTIVE:
            self.fall(join.fan, to)

    def rise(self, fan: str | None, level_before: int) -> str | None:
        """Note that a slot that waits becomes active, if it has or gets a place in every fan-out around it.

        Args:
            fan: The address of the slot's join, or None.
            level_before: The level of the slot: TIMED or SUSPENDED.

        Returns:
            The address of the innermost join that has no place for it: then nothing is noted. Else None.
        """
        full = self._rise(fan, level_before)
        return None if full is None else full.address

    def _rise(self, fan: str | None, before: int, freed: Task | None = None, *, free: bool = False) -> Task | None:
        """Do what `rise` does.

        Args:
            fan: The address of the slot's join, or None.
            before: The level of the slot.
            freed: The join at which to stop: the caller notes what happens around it.
            free: True if `freed` has a free place, whatever its counters say.

        Returns:
            The innermost join that has no place, or None.
        """
        path: list[tuple[Task, int]] = []
        while fan is not None:
            join = self._join(fan)
            if join is None:
                break
            if before is SUSPENDED and is_full(join) and not (free and join is freed):
                return join
            path.append((join, before))
            before = level(join)
            if before is ACTIVE or join is freed:
                break
            fan = join.fan
        for join, was in path:
            if was is TIMED:
                join.timed = max(0, join.timed - 1)
            else:
                join.suspended = max(0, join.suspended - 1)
            if join is not freed:
                self._save(join)
        return None

    def _pass_on(self, join: Task) -> None:
        """Give a place of a join that has become free to what waits for one there.

        Args:
            join: The head of the join. The caller saves it.
        """
        operation = self._operation
        if join.places and join.suspended:
            free = True
            # A task whose slot has a place by now, because another task of it was resumed too, needs none.
            while (task := operation.rows.resumed(operation.run, join.address)) is not None:
                suspended = join.suspended
                full = self._rise(task.fan, SUSPENDED, join, free=free)
                if full is join:
                    return
                if full is None:
                    operation.begin(task)
                else:
                    self.queue(task, full.address)
                free = free and join.suspended == suspended
            if not free:
                return
        operation.pull(join.address)

    def queue(self, task: Task, join: str) -> None:
        """Let a task wait for a place, after those that wait for one there already.

        Args:
            task: The task, SUSPENDED or RESUMED. The caller counts it in the run.
            join: The address of the join.
        """
        operation = self._operation
        task.status = RESUMED
        task.waits_at = join
        task.turn = operation.turn()
        operation.rows.save(operation.run, task, QUEUE)

    def _join(self, address: str) -> Task | None:
        """Return the head of a join, the same object each time, or None if it collects no slots (any more)."""
        join = self._joins.get(address)
        if join is None:
            join = self._operation.rows.task(self._operation.run, address)
            if join is None or join.status is not JOINING:
                return None
            self._joins[address] = join
        return join

    def _save(self, join: Task) -> int:
        """Write the counters of a join. Return its level."""
        self._operation.rows.save(self._operation.run, join, PLACES)
        return level(join)
