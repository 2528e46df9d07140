"""The workflows a worker may run: those of the configured modules, and those handed to it.

Nothing else is ever imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawbar.errors import ConfigurationError
from drawbar.graph.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from drawbar.plan import Plan
    from drawbar.records import Message


class Workflows:
    """Workflows by id and fingerprint.

    Args:
        modules: Modules (`myapp.workflows`) or files (`flows.py`), imported when the first message asks.
    """

    def __init__(self, modules: Iterable[str] = ()) -> None:
        self._modules = list(modules)
        self._plans: dict[tuple[str, str], Plan] = {}

    def add(self, workflow: Workflow[Any, Any]) -> None:
        """Registers a workflow; a later one of the same id and shape takes its place."""
        plan = workflow.plan
        self._plans[plan.id, plan.fingerprint] = plan

    def load(self) -> None:
        """Imports the configured modules.

        Raises:
            ConfigurationError: A module cannot be imported, has no workflow, or two have different ones of
                the same id.
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
        """The plan of that id and fingerprint, or None."""
        plan = self._plans.get((workflow_id, fingerprint))
        if plan is None and self._modules:
            self.load()
            plan = self._plans.get((workflow_id, fingerprint))
        return plan

    def explain(self, message: Message) -> str:
        """Why `find` gave None, and what to do."""
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


def workflows_in(module: ModuleType) -> Iterator[Workflow[Any, Any]]:
    """The committed workflows that are attributes of a module."""
    seen = set()
    for value in list(vars(module).values()):
        if isinstance(value, Workflow) and id(value) not in seen:
            seen.add(id(value))
            yield value


def import_module_or_file(name: str) -> ModuleType:
    """Imports `package.module`, or the file `path/to/flows.py` under its own name.

    Raises:
        ConfigurationError: It cannot be found, or its import failed; says which.
    """
    if not name.endswith(".py") and "/" not in name:
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                raise ConfigurationError(
                    f"no module {name!r}: it is looked for on PYTHONPATH and in {Path.cwd()}"
                ) from error
            raise ConfigurationError(f"importing {name!r} failed: {error}") from error
        except (Exception, SystemExit) as error:
            raise ConfigurationError(f"importing {name!r} failed: {type(error).__name__}: {error}") from error
    path = Path(name).resolve()
    if not path.is_file():
        raise ConfigurationError(f"no file {name!r} (looked for {path})")
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    if str(path.parent) not in sys.path:
        sys.path.insert(
            0, str(path.parent)
        )  # as `python path/to/flows.py` does, so that it finds its neighbours
    module_name = (
        path.stem if loaded is None and path.stem.isidentifier() else f"drawbar_file_{abs(hash(str(path)))}"
    )
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{name!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise ConfigurationError(f"importing {name!r} failed: {type(error).__name__}: {error}") from error
    return module
