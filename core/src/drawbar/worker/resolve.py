"""Look up the values that references point at: outputs recorded in the run, its input, its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput
from drawbar.plan import Node, Numbers, Op, Plan
from drawbar.values.refs import OutputOf, Ref, RunInput, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from drawbar.records import Json, RunRecord
    from drawbar.stores.base import Store


class Resolver:
    """Resolve references in one run.

    Args:
        store: The store with the run's tasks.
        plan: The plan of the run.
        run: The run.
        pending: Outputs by address that the next commit will record, and that are not in the store yet.
    """

    __slots__ = ("pending", "plan", "run", "store")

    def __init__(self, store: Store, plan: Plan, run: RunRecord, pending: Mapping[str, Json]) -> None:
        self.store = store
        self.plan = plan
        self.run = run
        self.pending = pending

    async def _outputs(self, addresses: Iterable[str]) -> Mapping[str, Json]:
        found, rest = self._split(addresses)
        return {**found, **await self.store.outputs(self.run.id, rest)} if rest else found

    def _outputs_now(self, address: str) -> Mapping[str, Json]:
        found, rest = self._split([address])
        return {**found, **self.store.outputs_now(self.run.id, rest)} if rest else found

    def _split(self, addresses: Iterable[str]) -> tuple[dict[str, Json], list[str]]:
        wanted = set(addresses)
        found = {address: self.pending[address] for address in wanted if address in self.pending}
        return found, [address for address in wanted if address not in found]

    async def resolve(
        self, node: Node, numbers: Numbers, refs: Iterable[Any], optional: Collection[Any] = ()
    ) -> dict[Any, Json]:
        """Return the value that each reference points at, seen from a place in the graph.

        Args:
            node: The node at that place.
            numbers: Its numbers.
            refs: The references.
            optional: The references that are left out when there is no value at their path.

        Raises:
            InvalidInput: There is no value at a reference's path.
        """
        found: dict[Any, Json] = {}
        wanted: dict[OutputOf, str] = {}
        counts: dict[OutputOf, str] = {}
        for ref in refs:
            if isinstance(ref, RunInput):
                _follow(ref, self.run.input, found, optional)
            elif isinstance(ref, RunState):
                _follow(ref, self.run.state, found, optional)
            elif isinstance(ref, OutputOf):
                address, count = self.plan.target(node, numbers, ref)
                wanted[ref] = address
                if count is not None:
                    counts[ref] = count
        if not wanted:
            return found
        if counts:
            last = await self._outputs(counts.values())
            for ref, count in counts.items():
                wanted[ref] = wanted[ref].replace("%d", str(last.get(count, 1)))
        outputs = await self._outputs(wanted.values())
        for ref, address in wanted.items():
            if address not in outputs:
                raise InvalidInput(f"{node.template} refers to the output of {address!r}, which has none")
            _follow(ref, outputs[address], found, optional)
        return found

    def reader(self, node: Node, numbers: Numbers) -> Callable[[str], Json]:
        """Return the function behind `ctx.output_of`: it returns the output of a step by id, and blocks meanwhile.

        Args:
            node: The node of the step that asks.
            numbers: Its numbers.
        """

        def read(step_id: str) -> Json:
            target = self.plan.visible(node, step_id)
            if target is not None and target.op is Op.LOOP and target.bodies[0].op is Op.STEP:
                target = target.bodies[0]
            if target is None:
                raise InvalidInput(
                    f"{node.template} asks for the output of {step_id!r}, and no step of that id is visible there"
                )
            address, count = self.plan.recorded_at(node, numbers, target)
            if count is not None:
                last = self._outputs_now(count)
                address = address.replace("%d", str(last.get(count, 1)))
            outputs = self._outputs_now(address)
            kept = target.op is Op.STEP or target.recorded
            if address not in outputs or not kept:  # the task of a join exists, but does not keep what it gathered
                hint = "" if kept else "; name it in an annotation, output_of(...), to have it recorded"
                raise InvalidInput(f"{node.template} asks for the output of {address!r}, which has none yet{hint}")
            return outputs[address]

        return read


def _follow(ref: Ref, root: Json, found: dict[Any, Json], optional: Collection[Any]) -> None:
    try:
        found[ref] = ref.lookup(root)
    except InvalidInput:
        if ref not in optional:
            raise
