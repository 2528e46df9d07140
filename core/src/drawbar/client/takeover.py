"""The takeover of a fork: the records of everything that stands before its place. Pure functions, no I/O.

A record stands *after* the place if it can only come to be once the step there has an output: later nodes of the same
sequence and of those around it, later iterations of the loops around it. Everything else is taken over as it is. What
had not ended beside the place (in other items or arms, of a run that failed or rests) goes on from where it stood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drawbar.errors import InvalidInput
from drawbar.machine import window_of
from drawbar.plan import Node, Numbers, Op, Plan, ends_slot, record_of, slot_record, slots_record
from drawbar.records import FINISHED_TASK, FanOut, Json, Kind, NewTask, Task, TaskStatus
from drawbar.stores import places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FANS = (Op.FOREACH, Op.PARALLEL, Op.BRANCH)
LEVELS = {TaskStatus.SUSPENDED: places.SUSPENDED, TaskStatus.SLEEPING: places.TIMED, TaskStatus.WAITING: places.TIMED}
"""The level of a slot (see `drawbar.stores.places`) in which a task of that status is; of all others: ACTIVE."""


@dataclass
class TakenOver:
    """The start of a fork.

    Attributes:
        tasks: The tasks that are taken over, finished or not, without the step at the place.
        joins: The joins that are still open, outermost first, with the tasks that start their slots.
        state: The state at the place.
    """

    tasks: list[NewTask] = field(default_factory=list)
    joins: list[FanOut] = field(default_factory=list)
    state: dict[str, Json] = field(default_factory=dict)


class Takeover:
    """One fork of one run.

    Args:
        plan: The plan of the run.
        tasks: The tasks of the run, in the order of their creation.
        place: The step to fork from, and its numbers.
        fan_out: The setting `fan_out`.
    """

    def __init__(self, plan: Plan, tasks: Sequence[Task], place: tuple[Node, Numbers], fan_out: int) -> None:
        self.plan = plan
        self.node, self.numbers = place
        self.own = self.node.address(self.numbers)
        self.fan_out = fan_out
        self.all = {task.address: task for task in tasks}
        self.around = {up.address(self.numbers[: len(up.marks)]) for up in self.node.parents()}
        self.seen: dict[str, dict[str, None]] = {}
        """Join to its slots: those of every item or arm that has a record."""
        self.kept: list[tuple[Task, Node, Numbers, str]] = []
        """The records that do not stand after the place: the task, its place, and its kind (`plan.RECORDS`)."""
        self._sort_out(tasks)
        self.redone: set[str] = set()
        """Steps beside the place whose bail ended a workflow around it: that bail is undone."""
        self.closed: set[str] = set()
        """Nested workflows that a bail has ended, and that stay so."""
        self._judge_bails()
        self.levels: dict[str, dict[str, int]] = {}
        """Join to the level of each of its slots where something has begun and goes on."""
        self.covered: dict[str, set[str]] = {}
        """Join to its slots where something goes on, begun or not."""

    def take(self, state: dict[str, Json]) -> TakenOver:
        """Return what the fork begins with.

        Args:
            state: The state at the start of a run.

        Raises:
            InvalidInput: The record of the run does not hold what is needed.
        """
        taken = TakenOver(state=dict(state))
        begun: dict[str, list[NewTask]] = {}
        held: dict[str, list[NewTask]] = {}
        open_joins: list[tuple[Node, Numbers]] = []
        standing: set[str] = set()
        self._goes_on(self.node, self.numbers, places.ACTIVE)
        for task, node, numbers, kind in self.kept:
            if kind:
                continue
            if task.kind is Kind.JOIN and (task.address in self.around or not self._is_over(task, node, numbers)):
                open_joins.append((node, numbers))
                self._goes_on(node, numbers, None)
            elif self._is_over(task, node, numbers):
                if task.status in FINISHED_TASK:
                    taken.tasks.append(_copy(task))
                    standing.add(task.address)
            else:
                new = _again(task)
                if new.status is TaskStatus.SUSPENDED:
                    standing.add(task.address)
                join = next(slots_around(node, numbers), None)
                if join is not None and new.status is TaskStatus.SCHEDULED:
                    # It gets a place of its join, or waits for one. A slot that had begun goes before the others.
                    where = begun if task.status is not TaskStatus.HELD else held
                    where.setdefault(join[0], []).append(new)
                    self._goes_on(node, numbers, None)
                else:
                    taken.tasks.append(new)
                    self._goes_on(node, numbers, LEVELS.get(new.status, places.ACTIVE))
        for task, _, _, kind in self.kept:
            owner = record_of(task.address)[0]
            if kind == "state" and owner in standing:
                taken.state.update(task.output)
            if kind and (kind in ("slot", "count") or owner in standing):
                taken.tasks.append(_copy(task))
        for node, numbers in reversed(open_joins):  # those inside first: their levels count for those around them
            at = node.address(numbers)
            starting = [*begun.get(at, []), *held.get(at, [])]
            taken.joins.insert(0, self._open(taken, node, numbers, starting))
        return taken

    def _sort_out(self, tasks: Sequence[Task]) -> None:
        is_after = self.plan.after(self.node, self.numbers)
        for task in tasks:
            owner, kind, slot = record_of(task.address)
            place = self.plan.locate(owner)
            if task.kind is Kind.CALLBACK or place is None:
                continue
            for join, name in slots_around(*place):
                self.seen.setdefault(join, {})[name] = None
            if owner == self.own or kind == "slots" or is_after(*place):
                continue
            if owner in self.around:
                # Of the nodes around the place, what was recorded when they were left stands after it.
                left = task.kind is Kind.MEMO and kind != "slot"
                if left or (kind == "slot" and (owner, slot) in dict(slots_around(self.node, self.numbers)).items()):
                    continue
            self.kept.append((task, *place, kind))

    def _judge_bails(self) -> None:
        for task, node, numbers, kind in self.kept:
            if kind != "bail":
                continue
            scope = next((up for up in node.parents() if up.nested), None)
            ended = scope.address(numbers[: len(scope.marks)]) if scope is not None else ""
            if scope is None or ended in self.around:
                self.redone.add(record_of(task.address)[0])
            else:
                self.closed.add(ended)

    def _is_over(self, task: Task, node: Node, numbers: Numbers) -> bool:
        """Return True if nothing follows from a task any more that the record does not hold."""
        if task.address in self.redone:
            return False
        if task.status is TaskStatus.COMPLETED:
            return True
        return bool(self.closed) and any(
            up.nested and up.address(numbers[: len(up.marks)]) in self.closed for up in node.parents()
        )

    def _goes_on(self, node: Node, numbers: Numbers, level: int | None) -> None:
        """Note that something goes on inside the slots around a place.

        Args:
            node: The node.
            numbers: Its numbers.
            level: The level of what goes on; None: it has not begun, or is noted elsewhere.
        """
        for join, slot in slots_around(node, numbers):
            self.covered.setdefault(join, set()).add(slot)
            if level is not None:
                levels = self.levels.setdefault(join, {})
                levels[slot] = max(level, levels.get(slot, level))

    def _open(self, taken: TakenOver, node: Node, numbers: Numbers, tasks: list[NewTask]) -> FanOut:
        """Return a join that is open again. The slots that had arrived become a record, the others are its total."""
        join = node.address(numbers)
        inside = dict(slots_around(self.node, self.numbers)).get(join)
        arrived: dict[str, Json] = {}
        missing: list[str] = []
        for slot in self.seen.get(join, {}):
            value = None if slot == inside else self._slot_value(node, numbers, slot)
            if value is None:
                missing.append(slot)
            else:
                arrived[slot] = value[0]
        lost = [slot for slot in missing if slot not in self.covered.get(join, ())]
        if lost:
            raise InvalidInput(
                f"a fork from {self.own} needs the values of {join} ({', '.join(lost[:5])}), and the run has no record "
                "of them (an older version of Drawbar made it): fork from a step before it"
            )
        if arrived:
            record = NewTask(slots_record(join), Kind.MEMO, status=TaskStatus.COMPLETED, output=arrived)
            taken.tasks.append(record)
        limit = node.source.concurrency or 0 if node.op is Op.FOREACH else 0
        levels = list(self.levels.get(join, {}).values())
        timed, suspended = levels.count(places.TIMED), levels.count(places.SUSPENDED)
        in_use = levels.count(places.ACTIVE) + (timed if limit else 0)
        window = max(0, window_of(node, self.fan_out) - in_use)
        if not missing or tasks[:window]:
            self._goes_on(node, numbers, places.ACTIVE)
        around = next((at for at, _ in slots_around(node, numbers)), None)
        return FanOut(join, len(missing), tasks, window, around, limit, timed, suspended)

    def _slot_value(self, node: Node, numbers: Numbers, slot: str) -> tuple[Json] | None:
        """Return the value with which a slot has arrived, in a tuple of one; None if it has not."""
        record = self.all.get(slot_record(node.address(numbers), slot))
        if record is not None:
            return (record.output,)
        if node.op is Op.FOREACH:
            last, numbers = node.bodies[0], (*numbers, int(slot))
        else:
            last = next(body for body in node.bodies if body.id == slot)
        while last.op is Op.SCOPE:
            last = last.bodies[0]
            while last.next is not None:
                last = last.next
        task = self.all.get(last.address(numbers)) if last.op is Op.STEP and ends_slot(last) else None
        if task is None or task.status is not TaskStatus.COMPLETED or f"{task.address}.$bail" in self.all:
            return None
        return (task.output,)


def slots_around(node: Node, numbers: Numbers) -> Iterator[tuple[str, str]]:
    """Yield (join, slot) of each fan-out around a place, innermost first."""
    child = node
    for up in node.parents():
        if up.op in FANS:
            slot = str(numbers[len(up.marks)]) if up.op is Op.FOREACH else child.id
            yield up.address(numbers[: len(up.marks)]), slot
        child = up


def _copy(task: Task) -> NewTask:
    return NewTask(
        task.address, task.kind, task.input, task.status, task.queue, task.fan, output=task.output, error=task.error
    )


def _again(task: Task) -> NewTask:
    """Return a task that goes on from where another one stood, as `Store.retry` does it."""
    status = task.status
    stood = task.was if status is TaskStatus.CANCELLED else status
    new = NewTask(task.address, task.kind, task.input, queue=task.queue, fan=task.fan)
    if task.kind is Kind.STEP and stood in (TaskStatus.SUSPENDED, TaskStatus.RESUMED):
        new.status = TaskStatus.SUSPENDED
        new.output = task.payload
    elif task.kind is Kind.TIMER and task.wake_at is not None and stood in (TaskStatus.SLEEPING, None):
        new.status = TaskStatus.SLEEPING
        new.until = task.wake_at
    elif task.kind is Kind.EVENT:
        new.status = TaskStatus.WAITING
        new.event = task.event
        if status is TaskStatus.WAITING:
            new.until = task.wake_at
        else:
            new.delay = task.delay
    return new
