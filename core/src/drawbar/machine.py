"""The run machine: it computes the next move of a run from the plan, a place in it and a value.

This file holds every decision about what follows in a run, and nothing else. Its functions are pure: no I/O, no clock,
no randomness, no store, no user code (the sans-I/O style of h11). A decision may depend on user code: a condition, a
mapper, a type to check against. Then the machine returns an `Evaluate`; the worker evaluates it and passes the result
to `answer`.

::

    enter(place, value) ──► NewTask | FanOut      tasks to schedule
    leave(place, value) ──► Arrive                a slot of a join is filled
    answer(wanted, …)   ──► Finish                the run has ended
                        ──► Evaluate              user code must be evaluated first
                        ──► Refuse                the value cannot go on: the run fails here

Internal: third parties import nothing from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drawbar.plan import Node, Numbers, Op, Plan, count_address
from drawbar.records import Arrive, FanOut, Finish, Json, Kind, NewTask, RunStatus, TaskStatus
from drawbar.values.shape import AnyShape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVALUATED = frozenset({Op.MAP, Op.CHECK, Op.BRANCH, Op.CHOOSE, Op.AGAIN})
"""Operations that always need an `Evaluate`. SLEEP and UNTIL need one when they hold a callable."""


INITIAL_WINDOW = 16
"""Number of items that a foreach without `concurrency=` schedules at its start.

Each of these that a worker claims from a queue releases one more item, up to the setting `fan_out`. So the number of
messages follows the number of workers that take them.
"""


@dataclass(slots=True)
class Evaluate:
    """A request to evaluate user code. The answer goes to `Machine.answer`.

    The type of the answer depends on the node's op. MAP, CHECK: the new value. BRANCH: the indexes of the arms whose
    conditions are true. CHOOSE: the index of the first such arm, or None. AGAIN: True or False, the condition's answer.
    SLEEP: seconds. UNTIL: epoch seconds.
    """

    node: Node
    numbers: Numbers
    value: Json


@dataclass(slots=True)
class Refuse:
    """The value does not fit the node: the run fails there."""

    node: Node
    numbers: Numbers
    value: Json
    message: str


Move = NewTask | FanOut | Arrive | Finish | Evaluate | Refuse
Records = list[NewTask]
"""Outputs to record beside a move, because a reference may ask for them."""


class Machine:
    """The machine of one plan.

    Args:
        plan: The plan.
        fan_out: Largest number of slots of a fan-out that run at the same time, where the graph sets no number
            (setting `fan_out`).
    """

    __slots__ = ("fan_out", "plan")

    def __init__(self, plan: Plan, fan_out: int) -> None:
        self.plan = plan
        self.fan_out = fan_out

    def start(self, value: Json) -> NewTask:
        """Return the first task of a run.

        No user code is evaluated for it: a client starts runs, and only workers evaluate.

        Args:
            value: The run's input, in JSON form.
        """
        return self._task(self.plan.first, (), value)

    def enter(self, node: Node, numbers: Numbers, value: Json, records: Records) -> Move:
        """Return the move that follows when a value reaches a node.

        Args:
            node: The node.
            numbers: The numbers of its address.
            value: The value, in JSON form.
            records: Receives the outputs to record beside the move.
        """
        while node.op is Op.SCOPE:
            node = node.bodies[0]
        op = node.op
        if op is Op.STEP:
            fan = self.enclosing_join(node, numbers)
            return NewTask(node.address(numbers), Kind.STEP, value, queue=node.source.policy.queue, fan=fan)
        if op is Op.CHECK and isinstance(node.source, AnyShape):
            return self.leave(node, numbers, value, records)
        if op in EVALUATED:
            return Evaluate(node, numbers, value)
        if op is Op.LOOP:
            return self.enter(node.bodies[0], (*numbers, 1), value, records)
        if op is Op.FOREACH:
            if not isinstance(value, list):
                return Refuse(node, numbers, value, f"foreach needs a list, got {_type_and_repr(value)}")
            if not value:
                return self.leave(node, numbers, [], records)
            return self._fan_out_items(node, numbers, value)
        if op is Op.PARALLEL:
            return self._fan_out_to(node, numbers, node.bodies, value)
        if op is Op.SLEEP:
            if callable(node.source.seconds):
                return Evaluate(node, numbers, value)
            return self._timer(node, numbers, value, delay=node.source.seconds)
        if op is Op.UNTIL:
            if callable(node.source.until):
                return Evaluate(node, numbers, value)
            return self._timer(node, numbers, value, until=node.source.until.timestamp())
        wait, fan = node.source, self.enclosing_join(node, numbers)
        return NewTask(
            node.address(numbers), Kind.EVENT, value, TaskStatus.WAITING, fan=fan, delay=wait.timeout, event=wait.event
        )

    def leave(self, node: Node, numbers: Numbers, value: Json, records: Records) -> Move:
        """Return the move that follows when a node has an output.

        Args:
            node: The node.
            numbers: The numbers of its address.
            value: Its output, in JSON form.
            records: Receives the outputs to record beside the move.
        """
        while True:
            if node.recorded:
                records.append(_memo(node.address(numbers), value))
            if node.next is not None:
                return self.enter(node.next, numbers, value, records)
            up = node.up
            if up is None:
                return Finish(RunStatus.COMPLETED, value)
            if up.op is Op.FOREACH:
                return Arrive(up.address(numbers[:-1]), str(numbers[-1]), value)
            if up.op is Op.PARALLEL or up.op is Op.BRANCH:
                return Arrive(up.address(numbers), node.id, value)
            node = up  # The output of a scope or a choose is the output of its last node.

    def answer(self, wanted: Evaluate, answer: Any, records: Records) -> Move:
        """Return the move that follows when user code has been evaluated.

        Args:
            wanted: The request.
            answer: The answer, of the type that `Evaluate` describes.
            records: Receives the outputs to record beside the move.
        """
        node, numbers, value = wanted.node, wanted.numbers, wanted.value
        op = node.op
        if op is Op.MAP or op is Op.CHECK:
            return self.leave(node, numbers, answer, records)
        if op is Op.AGAIN:
            loop = node.up
            assert loop is not None
            if bool(answer) is not loop.source.until:
                return self.enter(loop.bodies[0], (*numbers[:-1], numbers[-1] + 1), value, records)
            if loop.count_recorded:
                records.append(_memo(count_address(loop, numbers[:-1]), numbers[-1]))
            return self.leave(loop, numbers[:-1], value, records)
        if op is Op.BRANCH:
            chosen = [node.bodies[index] for index in answer]
            if not chosen and node.source.otherwise is not None:
                chosen = [node.bodies[-1]]
            if not chosen:
                return self.leave(node, numbers, {}, records)
            return self._fan_out_to(node, numbers, chosen, value)
        if op is Op.CHOOSE:
            if answer is None and node.source.otherwise is not None:
                answer = len(node.bodies) - 1
            if answer is None:
                return self.leave(node, numbers, value, records)
            return self.enter(node.bodies[answer], numbers, value, records)
        if op is Op.SLEEP:
            return self._timer(node, numbers, value, delay=answer)
        return self._timer(node, numbers, value, until=answer)

    def gather(self, node: Node, slots: Mapping[str, Json]) -> Json:
        """Return the value of a join whose slots have all arrived: in the order of the items, or of the declaration."""
        if node.op is Op.FOREACH:
            return [slots[str(index)] for index in range(len(slots))]
        return {body.id: slots[body.id] for body in node.bodies if body.id in slots}

    def bail(self, node: Node, numbers: Numbers, value: Json, records: Records) -> tuple[str, Move]:
        """Return the move that follows when a step bails.

        Args:
            node: The step's node.
            numbers: The numbers of its address.
            value: The output of its workflow, in JSON form.
            records: Receives the outputs to record beside the move.

        Returns:
            The prefix of the addresses to cancel, and the move.
        """
        for up in node.parents():
            if up.nested:
                kept = numbers[: len(up.marks)]
                prefix = up.address(kept) + "."
                if up.check_out is not None:
                    return prefix, self.enter(up.check_out, kept, value, records)
                return prefix, self.leave(up, kept, value, records)
        return "", self.enter(self.plan.exit, (), value, records)

    def enclosing_join(self, node: Node, numbers: Numbers) -> str | None:
        """Return the address of the join of the innermost fan-out around a node; None outside of fan-outs."""
        up = node.up
        while up is not None:
            op = up.op
            if op is Op.FOREACH or op is Op.PARALLEL or op is Op.BRANCH:
                return up.address(numbers[: len(up.marks)])
            up = up.up
        return None

    def _task(self, node: Node, numbers: Numbers, value: Json, fan: str | None = None) -> NewTask:
        """Return the task for a node without an evaluation of user code.

        A node that is not a step gets a CONTROL task, so that a worker enters it.
        """
        while node.op is Op.SCOPE:
            node = node.bodies[0]
        if node.op is Op.STEP:
            return NewTask(node.address(numbers), Kind.STEP, value, queue=node.source.policy.queue, fan=fan)
        return NewTask(node.entry(numbers), Kind.CONTROL, value, fan=fan)

    def _fan_out_to(self, node: Node, numbers: Numbers, bodies: Sequence[Node], value: Json) -> FanOut:
        join = node.address(numbers)
        tasks = [self._task(body, numbers, value, join) for body in bodies]
        return FanOut(join, len(tasks), tasks, self.fan_out, self.enclosing_join(node, numbers))

    def _fan_out_items(self, node: Node, numbers: Numbers, items: Sequence[Json]) -> FanOut:
        join = node.address(numbers)
        body = node.bodies[0]
        tasks = [self._task(body, (*numbers, index), item, join) for index, item in enumerate(items)]
        places = node.source.concurrency or 0
        window = window_of(node, self.fan_out)
        return FanOut(join, len(tasks), tasks, window, self.enclosing_join(node, numbers), places)

    def should_widen(self, address: str) -> bool:
        """Return True if the claim of this task has to release one more item of its foreach (`widen` of `Store.claim`).

        This holds for the first items of a foreach without `concurrency=`, and for the items that they release, up to
        `fan_out`. It does not hold for the first item, because the worker that opened the fan-out usually continues
        with it. Nor does it hold for an item that replaces a finished one, or for a task that is not the first of its
        item.

        Args:
            address: The task's address.
        """
        place = self.plan.locate(address) if "[" in address else None
        index = place[0].index(place[1]) if place is not None else None
        if place is None or index is None:
            return False
        each = next(up for up in place[0].parents() if up.op is Op.FOREACH)
        if each.source.concurrency is not None or not 0 < index <= self.fan_out - INITIAL_WINDOW:
            return False
        first = each.bodies[0]
        while first.op is Op.SCOPE:
            first = first.bodies[0]
        return first is place[0]

    def _timer(
        self,
        node: Node,
        numbers: Numbers,
        value: Json,
        delay: float | None = None,
        until: float | None = None,
    ) -> NewTask:
        fan = self.enclosing_join(node, numbers)
        return NewTask(node.address(numbers), Kind.TIMER, value, TaskStatus.SLEEPING, fan=fan, delay=delay, until=until)


def window_of(node: Node, fan_out: int) -> int:
    """Return the number of slots that a fan-out starts at once.

    Args:
        node: The node of the fan-out.
        fan_out: The setting `fan_out`.
    """
    if node.op is not Op.FOREACH:
        return fan_out
    return node.source.concurrency or min(fan_out, INITIAL_WINDOW)


def _memo(address: str, value: Json) -> NewTask:
    return NewTask(address, Kind.MEMO, status=TaskStatus.COMPLETED, output=value)


def _type_and_repr(value: Json) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:60]}{'…' if len(text) > 60 else ''}"
