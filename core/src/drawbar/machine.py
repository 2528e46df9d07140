"""The run machine: given the plan, a place and a value, what follows?

Everything that decides what happens next in a run is in this file, and nothing else is: pure functions, no
I/O, no clock, no randomness, no store, no user code (in the manner of h11). Where the answer depends on a
callable of the user's (a condition, a mapper, a type to check against), the machine returns an `Evaluate`; the
worker gets the answer and hands it back to `answer`.

::

    enter(place, value) ──► NewTask | FanOut      something to be scheduled
    leave(place, value) ──► Arrive                a slot of a join is filled
    answer(wanted, …)   ──► Finish                the run has ended
                        ──► Evaluate              a callable must be evaluated first
                        ──► Refuse                the value cannot go on: the run fails here
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
"""Nodes that always ask; SLEEP and UNTIL ask when they hold a callable."""


BEGIN = 16
"""With how many items a foreach begins, unless the graph says how many are to be in flight.

Each of them that a worker takes off a queue brings one more with it, up to the setting `fan_out`: so there are
messages for as many as there are workers to take them, and few more.
"""


@dataclass(slots=True)
class Evaluate:
    """A callable has to be asked.

    What the answer must be depends on the node's op:

    MAP, CHECK: the new value. BRANCH: the indexes of the arms whose conditions are true. CHOOSE: the index
    of the first such arm, or None. AGAIN: the condition's truth. SLEEP: seconds. UNTIL: epoch seconds.
    """

    node: Node
    numbers: Numbers
    value: Json


@dataclass(slots=True)
class Refuse:
    """The value cannot enter the node: the run fails there."""

    node: Node
    numbers: Numbers
    value: Json
    message: str


Move = NewTask | FanOut | Arrive | Finish | Evaluate | Refuse
Records = list[NewTask]
"""Outputs to be recorded beside a move, because something refers to them."""


class Machine:
    """The machine of one plan.

    Args:
        plan: The plan.
        fan_out: How many slots of a fan-out are free to start at once, where the graph does not say.
    """

    __slots__ = ("fan_out", "plan")

    def __init__(self, plan: Plan, fan_out: int) -> None:
        self.plan = plan
        self.fan_out = fan_out

    def start(self, value: Json) -> NewTask:
        """The first task of a run.

        Whoever starts a run asks nobody anything: that is the first worker's work.
        """
        return self._task(self.plan.first, (), value)

    def enter(self, node: Node, numbers: Numbers, value: Json, records: Records) -> Move:
        """What happens when a value reaches a node.

        Args:
            node: The node.
            numbers: Its numbers.
            value: The value.
            records: Gets what has to be recorded beside the move.
        """
        while node.op is Op.SCOPE:
            node = node.bodies[0]
        op = node.op
        if op is Op.STEP:
            return NewTask(node.address(numbers), Kind.STEP, value, queue=node.source.policy.queue)
        if op is Op.CHECK and isinstance(node.source, AnyShape):
            return self.leave(node, numbers, value, records)
        if op in EVALUATED:
            return Evaluate(node, numbers, value)
        if op is Op.LOOP:
            return self.enter(node.bodies[0], (*numbers, 1), value, records)
        if op is Op.FOREACH:
            if not isinstance(value, list):
                return Refuse(node, numbers, value, f"foreach needs a list, and got {_named(value)}")
            if not value:
                return self.leave(node, numbers, [], records)
            return self._items(node, numbers, value)
        if op is Op.PARALLEL:
            return self._fan(node, numbers, node.bodies, value)
        if op is Op.SLEEP:
            if callable(node.source.seconds):
                return Evaluate(node, numbers, value)
            return self._timer(node, numbers, value, delay=node.source.seconds)
        if op is Op.UNTIL:
            if callable(node.source.until):
                return Evaluate(node, numbers, value)
            return self._timer(node, numbers, value, until=node.source.until.timestamp())
        wait = node.source
        return NewTask(
            node.address(numbers), Kind.EVENT, value, TaskStatus.WAITING, delay=wait.timeout, event=wait.event
        )

    def leave(self, node: Node, numbers: Numbers, value: Json, records: Records) -> Move:
        """What happens when a node has put out a value. Arguments as for `enter`."""
        while True:
            if node.recorded:
                records.append(_record(node.address(numbers), value))
            if node.next is not None:
                return self.enter(node.next, numbers, value, records)
            up = node.up
            if up is None:
                return Finish(RunStatus.COMPLETED, value)
            if up.op is Op.FOREACH:
                return Arrive(up.address(numbers[:-1]), str(numbers[-1]), value)
            if up.op is Op.PARALLEL or up.op is Op.BRANCH:
                return Arrive(up.address(numbers), node.id, value)
            node = up  # a scope or a choose: what its last node put out is what it puts out

    def answer(self, wanted: Evaluate, answer: Any, records: Records) -> Move:
        """What happens now that the callable has been asked.

        Args:
            wanted: The request.
            answer: See `Evaluate`.
            records: Gets what has to be recorded beside the move.
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
            if loop.counted:
                records.append(_record(count_address(loop, numbers[:-1]), numbers[-1]))
            return self.leave(loop, numbers[:-1], value, records)
        if op is Op.BRANCH:
            chosen = [node.bodies[index] for index in answer]
            if not chosen and node.source.otherwise is not None:
                chosen = [node.bodies[-1]]
            if not chosen:
                return self.leave(node, numbers, {}, records)
            return self._fan(node, numbers, chosen, value)
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
        """The value of a join, all of whose slots have arrived: in the order of the items, or as declared."""
        if node.op is Op.FOREACH:
            return [slots[str(index)] for index in range(len(slots))]
        return {body.id: slots[body.id] for body in node.bodies if body.id in slots}

    def bail(self, node: Node, numbers: Numbers, value: Json, records: Records) -> tuple[str, Move]:
        """What happens when a step bails.

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

    def fan_of(self, node: Node, numbers: Numbers) -> str | None:
        """Address of the join of the innermost fan-out round a node; None outside of fan-outs."""
        for up in node.parents():
            if up.op in (Op.FOREACH, Op.PARALLEL, Op.BRANCH):
                return up.address(numbers[: len(up.marks)])
        return None

    def _task(self, node: Node, numbers: Numbers, value: Json, fan: str | None = None) -> NewTask:
        """A task for a node, to be scheduled by somebody who can ask nobody anything."""
        while node.op is Op.SCOPE:
            node = node.bodies[0]
        if node.op is Op.STEP:
            return NewTask(node.address(numbers), Kind.STEP, value, queue=node.source.policy.queue, fan=fan)
        return NewTask(node.entry(numbers), Kind.CONTROL, value, fan=fan)

    def _fan(self, node: Node, numbers: Numbers, bodies: Sequence[Node], value: Json) -> FanOut:
        join = node.address(numbers)
        tasks = [self._task(body, numbers, value, join) for body in bodies]
        return FanOut(join, len(tasks), tasks, self.fan_out)

    def _items(self, node: Node, numbers: Numbers, items: Sequence[Json]) -> FanOut:
        join = node.address(numbers)
        body = node.bodies[0]
        tasks = [self._task(body, (*numbers, index), item, join) for index, item in enumerate(items)]
        return FanOut(join, len(tasks), tasks, node.source.concurrency or min(self.fan_out, BEGIN))

    def widens(self, address: str) -> bool:
        """Whether the worker that takes this task off a queue is to bring one more item of its foreach with it.

        The items that a foreach begins with do, and those that come with them, as far as there may be as many. The
        first one does not: most often the worker that opened the fan-out goes on with it. Nor does an item that is
        taken in the place of one that has ended.
        """
        place = self.plan.locate(address) if "[" in address else None
        index = place[0].index(place[1]) if place is not None else None
        if place is None or index is None:
            return False
        each = next(up for up in place[0].parents() if up.op is Op.FOREACH)
        return each.source.concurrency is None and 0 < index <= self.fan_out - BEGIN

    def _timer(
        self,
        node: Node,
        numbers: Numbers,
        value: Json,
        delay: float | None = None,
        until: float | None = None,
    ) -> NewTask:
        return NewTask(
            node.address(numbers), Kind.TIMER, value, TaskStatus.SLEEPING, delay=delay, until=until
        )


def _record(address: str, value: Json) -> NewTask:
    return NewTask(address, Kind.MEMO, status=TaskStatus.COMPLETED, output=value)


def _named(value: Json) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:60]}{'…' if len(text) > 60 else ''}"
