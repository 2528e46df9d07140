"""The contexts that steps, conditions and mappers are called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.records import Json, NewEvent
from drawbar.steps.context import Context
from drawbar.values.limits import Limits
from drawbar.worker.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.plan import Node, Numbers
    from drawbar.settings.models import Settings
    from drawbar.steps.step import Step
    from drawbar.stores.base import Store
    from drawbar.worker.execution import Execution


class ContextFactory:
    """Make contexts.

    Args:
        store: The store, for `ctx.output_of`.
        settings: Core's settings.
        engine: Name of the engine, for `ctx.engine`.

    Attributes:
        limits: The limit of values.
    """

    def __init__(self, store: Store, settings: Settings, engine: str) -> None:
        self._store = store
        self.limits = Limits(settings.max_value_size, settings.max_value_depth)
        self._engine = engine

    def make(
        self,
        execution: Execution,
        node: Node,
        numbers: Numbers,
        step: Step[..., Any] | None = None,
        error: BaseException | None = None,
    ) -> Context:
        """Return the context of a step, or of a condition or mapper.

        Args:
            execution: The execution.
            node: The node that holds the step, condition or mapper.
            numbers: Its numbers.
            step: The step; None for a condition or mapper.
            error: For a fallback step: the error that it stands in for.

        Raises:
            InvalidInput: The data that the step was resumed with does not fit its `resume=` any more.
        """
        run, plan, task = execution.run, execution.plan, execution.task
        resumed = task.data[0] if task.data is not None and step is not None else None
        if resumed is not None and step is not None and step.resume is not None:
            resumed = step.resume.revive(resumed)
        address = node.address(numbers)
        return Context(
            run_id=run.id,
            workflow_id=run.workflow_id,
            step_id=node.id,
            address=address,
            attempt=task.attempt if step is not None else 1,
            iteration=node.iteration(numbers),
            index=node.index(numbers),
            run_input=lambda: plan.input_shape.revive(run.input),
            state=run.state,
            state_model=plan.state_model(node),
            resume_data=resumed,
            suspend_data=task.payload if step is not None else None,
            metadata=run.metadata,
            engine=self._engine,
            error=error,
            emitter=self._emitter(execution, address),
            reader=self.resolver(execution).reader(node, numbers),
        )

    def resolver(self, execution: Execution) -> Resolver:
        """Return the resolver of references for an execution."""
        return Resolver(self._store, execution.plan, execution.run, execution.pending)

    def _emitter(self, execution: Execution, address: str) -> Callable[[Json], None]:
        def emit(data: Json) -> None:
            self.limits.check(data, f"what {address} emits")
            execution.emitted.append(NewEvent("task.emitted", address, {"data": data}))

        return emit
