"""Generator of workflows with every kind of node: from a seed (the same in every process), or by Hypothesis."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drawbar import Step, Workflow, chain, output_of, run_input, step, value_at, workflow
from drawbar.conformance import parts

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Pick = Callable[[int], int]
"""A source of choices: `pick(n)` returns a number from 0 to n - 1; 0 is the simplest choice."""
MAX_DEPTH = 3
# fmt: off
STEPS: tuple[Step[..., Any], ...] = (
    parts.plus, parts.turn, parts.shape, parts.spread, parts.place, parts.remember, parts.stumble,
    parts.rescue, parts.replace, parts.ask, parts.fail, parts.give_up, parts.bail,
)
# fmt: on


def seeded(seed: int) -> Workflow[Any, Any]:
    """Return the workflow of a seed, with the id `graph-<seed>`."""
    return make(random.Random(seed).randrange, f"graph-{seed:03}")


def workflows() -> SearchStrategy[Workflow[Any, Any]]:
    """Return a Hypothesis strategy for workflows. Failing examples shrink towards a single step."""
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: st.DrawFn) -> Workflow[Any, Any]:
        return make(lambda n: draw(st.integers(0, n - 1)), "drawn")

    return drawn()


def make(pick: Pick, id: str) -> Workflow[Any, Any]:  # noqa: A002
    """Return a workflow made by the choices of `pick`."""
    retry = (None, 2)[pick(2)]
    made: Workflow[Any, Any] = _Sequence(pick).fill(workflow(id, retry=retry)).commit()
    return made


@dataclass
class _Sequence:
    """Generator of the nodes of one scope.

    Attributes:
        pick: The source of choices.
        depth: Number of scopes around this one.
        alone: True if nothing else runs in the same workflow at the same time. Only then may a step bail: it is known
            which steps have run before.
        quiet: True if nothing else runs in the whole run at the same time. Only then is the state known.
        made: Number of ids made so far.
    """

    pick: Pick
    depth: int = 0
    alone: bool = True
    quiet: bool = True
    made: int = 0
    referable: list[str] = field(default_factory=list)
    """Ids of nodes that have run before on every path."""
    steps: list[str] = field(default_factory=list)
    """The ids among `referable` that belong to steps."""

    def name(self, stem: str) -> str:
        """Return an id that is unique in this scope. Other scopes use the same ids on purpose."""
        self.made += 1
        return f"{stem}-{self.made}"

    # -- bodies --------------------------------------------------------------------------------------------

    def step(self, alone: bool = True) -> Any:
        kinds = STEPS if alone and self.alone else STEPS[:-1]
        kind = kinds[self.pick(len(kinds))]
        return kind.with_id(self.name(kind.id))

    def body(self, alone: bool = True) -> Any:
        """Return a step, a chain or a nested workflow. `alone` is False if other bodies run at the same time."""
        kind = self.pick(6) if self.depth < MAX_DEPTH else 0
        if kind == 4:
            inner = self.scope(self.alone and alone, self.quiet and alone)
            made = [inner.body() for _ in range(2 + self.pick(2))]
            return chain(*made, id=self.name("chain"))
        if kind == 5:
            inner = self.scope(True, self.quiet and alone)
            return inner.fill(workflow(self.name("nested"))).commit()
        return self.step(alone)

    def scope(self, alone: bool, quiet: bool) -> _Sequence:
        return _Sequence(self.pick, self.depth + 1, alone, quiet)

    # -- nodes ---------------------------------------------------------------------------------------------

    def fill(self, builder: Any) -> Any:
        """Add nodes to a builder."""
        for _ in range(1 + self.pick(4 if self.depth < 2 else 2)):
            builder = self.node(builder)
        return builder

    def node(self, builder: Any) -> Any:
        kinds = (
            self.then,
            self.map,
            self.parallel,
            self.branch,
            self.choose,
            self.foreach,
            self.loop,
            self.rest,
        )
        return kinds[self.pick(len(kinds))](builder)

    def then(self, builder: Any) -> Any:
        if self.steps and self.pick(6) == 5:
            known = self.steps[self.pick(len(self.steps))]
            return builder.then(step(parts.recall(known), id=self.name("recall")))
        body = self.body()
        self.referable.append(body.id)
        if hasattr(body, "fn"):
            self.steps.append(body.id)
        return builder.then(body)

    def map(self, builder: Any) -> Any:
        kind = self.pick(4)
        if kind == 3 and self.referable:
            known = self.referable[self.pick(len(self.referable))]
            refs = {"then": output_of(known), "now": value_at(), "first": run_input()}
            return builder.map({**refs, "const": [1, None]})
        if kind == 2 and self.quiet:
            return builder.map(parts.count_state)
        return builder.map((parts.pair, parts.fold)[kind % 2])

    def parallel(self, builder: Any) -> Any:
        bodies = [self.body(alone=False) for _ in range(2 + self.pick(2))]
        self.referable += [body.id for body in bodies]
        return builder.parallel(*bodies)

    def branch(self, builder: Any) -> Any:
        arms = [(self.condition(), self.body(alone=False)) for _ in range(1 + self.pick(3))]
        return builder.branch(*arms, **self.otherwise())

    def choose(self, builder: Any) -> Any:
        arms = [(self.condition(), self.body()) for _ in range(1 + self.pick(3))]
        return builder.choose(*arms, **self.otherwise())

    def otherwise(self) -> dict[str, Any]:
        return {"otherwise": self.body()} if self.pick(2) else {}

    def condition(self) -> Any:
        number = 1 + self.pick(3)
        return (parts.divides, parts.async_divides)[self.pick(2)](number)

    def foreach(self, builder: Any) -> Any:
        body = self.body(alone=False)
        self.referable.append(body.id)
        spread = parts.spread.with_id(self.name("spread"))
        items = builder.map(parts.pair) if self.pick(2) else builder.then(spread)
        return items.foreach(body, concurrency=(None, 1, 2)[self.pick(3)])

    def loop(self, builder: Any) -> Any:
        body = self.body()
        self.referable.append(body.id)
        if self.pick(2):
            return builder.do_until(body, parts.rounds(1 + self.pick(4)))
        return builder.do_while(body, parts.fewer(1 + self.pick(4)))

    def rest(self, builder: Any) -> Any:
        kind = self.pick(3)
        if kind == 0:
            return builder.sleep(0.001)
        if kind == 1:
            return builder.sleep(parts.blink)
        return builder.wait_for("nothing", timeout=0.001, default={"waited": True})


def waiting(seed: int) -> Workflow[Any, Any]:
    """Return the workflow of a seed that consists of fan-outs in fan-outs whose bodies suspend, sleep and wait.

    Each foreach in it has up to five items, and no limit, one place or two.
    """
    pick = random.Random(seed).randrange
    made: Workflow[Any, Any] = workflow(f"waiting-{seed:03}").map(parts.four).then(_waiting(pick, 3)).commit()
    return made


def _waiting(pick: Pick, depth: int) -> Workflow[Any, Any]:
    """Return a foreach over a body that waits, as a nested workflow."""
    body: Any = workflow("item")
    for number in range(1 + pick(2)):
        kind = pick(8) if depth else pick(5)
        if kind == 0:
            body = body.sleep(0.001 * (1 + pick(3)))
        elif kind == 1:
            body = body.wait_for("nothing", timeout=0.002, default=number)
        elif kind < 4:
            body = body.then(parts.ask.with_id(f"ask-{number}"))
        elif kind == 4:
            body = body.then(parts.stumble.with_id(f"stumble-{number}"))
        elif kind == 5:
            inner = _waiting(pick, depth - 1).with_id(f"in-{number}")
            body = body.map(parts.pair if pick(2) else parts.four).then(inner)
        else:
            arms = [_arm(pick, depth - 1).with_id(f"arm-{number}-{arm}") for arm in range(2 + pick(2))]
            body = body.parallel(*arms) if kind == 6 else body.branch(*[(parts.divides(1 + pick(2)), a) for a in arms])
    each: Workflow[Any, Any] = workflow("each").foreach(body.commit(), concurrency=(None, 1, 2)[pick(3)]).commit()
    return each


def _arm(pick: Pick, depth: int) -> Workflow[Any, Any]:
    arm: Any = workflow("arm")
    kind = pick(4)
    if kind == 0:
        arm = arm.sleep(0.002)
    elif kind == 1 and depth > 0:
        arm = arm.map(parts.four).then(_waiting(pick, depth - 1))
    elif kind == 2:
        arm = arm.then(parts.plus)
    made: Workflow[Any, Any] = arm.then(parts.ask).commit()
    return made
