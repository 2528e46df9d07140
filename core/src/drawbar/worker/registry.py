"""The workflows that a worker may run: those of the configured modules, and those that were added to it.

Only the configured modules are imported, never one that a message names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import ConfigurationError
from drawbar.graph.definition import WorkflowDefinition
from drawbar.plugins.importing import import_module_or_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from drawbar.plan import Plan
    from drawbar.records import Message


class WorkflowRegistry:
    """Workflows by id and fingerprint.

    Args:
        modules: Modules (`myapp.workflows`) or files (`flows.py`). They are imported when they are first needed.
    """

    def __init__(self, modules: Iterable[str] = ()) -> None:
        self._modules = list(modules)
        self._plans: dict[tuple[str, str], Plan] = {}
        self._workflows: dict[Plan, WorkflowDefinition[Any, Any]] = {}

    def add(self, workflow: WorkflowDefinition[Any, Any]) -> None:
        """Register a workflow. It replaces an earlier one of the same id and fingerprint.

        Args:
            workflow: The workflow, committed.
        """
        plan = workflow.plan
        self._plans[plan.id, plan.fingerprint] = plan
        self._workflows[plan] = workflow

    def workflow_of(self, plan: Plan) -> WorkflowDefinition[Any, Any]:
        """Return the workflow that a plan was compiled from.

        Args:
            plan: A plan of this registry.
        """
        return self._workflows[plan]

    def load(self) -> None:
        """Import the configured modules, and register their workflows.

        Raises:
            ConfigurationError: A module cannot be imported, or has no committed workflow.
        """
        while self._modules:
            name = self._modules[0]
            module = import_module_or_file(name)
            found = list(workflows_in(module))
            if not found:
                raise ConfigurationError(f"{name!r} (setting workflows) holds no committed workflow")
            for workflow in found:
                self.add(workflow)
            self._modules.pop(0)

    def find(self, workflow_id: str, fingerprint: str) -> Plan | None:
        """Return the plan of that id and fingerprint, or None.

        Args:
            workflow_id: The workflow's id.
            fingerprint: The fingerprint that the run was started with.

        Raises:
            ConfigurationError: See `load`.
        """
        plan = self._plans.get((workflow_id, fingerprint))
        if plan is None and self._modules:
            self.load()
            plan = self._plans.get((workflow_id, fingerprint))
        return plan

    def fingerprints(self) -> frozenset[str] | None:
        """Return the fingerprints of the plans that are here; None while a configured module is still to be imported.

        Other applications may use the same store. So a ticker takes the tasks of these plans alone.
        """
        if self._modules:
            return None
        return frozenset(fingerprint for _, fingerprint in self._plans)

    def explain(self, message: Message) -> str:
        """Return the reason why `find` returned None for a message, and the remedy.

        Args:
            message: The message.
        """
        known = [fingerprint for known_id, fingerprint in self._plans if known_id == message.workflow_id]
        if not known:
            return (
                f"run {message.run_id}: this worker has no workflow {message.workflow_id!r}; put its "
                "module into the setting workflows. The task is put back, for a worker that has it"
            )
        return (
            f"run {message.run_id}: workflow {message.workflow_id!r} is here as {', '.join(known)}, and the run was "
            f"started with {message.fingerprint}: another version. The task is put back, for a worker that has it"
        )

    def __iter__(self) -> Iterator[Plan]:
        return iter(self._plans.values())


def workflows_in(module: ModuleType) -> Iterator[WorkflowDefinition[Any, Any]]:
    """Yield the committed workflows that are attributes of a module.

    Args:
        module: The module.
    """
    seen = set()
    for value in list(vars(module).values()):
        if isinstance(value, WorkflowDefinition) and id(value) not in seen:
            seen.add(id(value))
            yield value
