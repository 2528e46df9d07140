"""Runs that no worker takes up: the notice for the caller who waits, and before that for the caller who starts."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from drawbar.errors import ConfigurationError
from drawbar.plugins.importing import name_to_import
from drawbar.records import FINISHED_RUN, RunStatus, TaskStatus
from drawbar.settings.display import command_options
from drawbar.worker.registry import WorkflowRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar.client.session import Session
    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.records import RunRecord, Task

log = logging.getLogger("drawbar.client")

PATIENCE = 5.0
"""Seconds without a worker after which the caller is told."""
FIRST_LOOK = 0.5
"""Seconds after which the newest event of the run is noted, to see later that none has come since."""
LONGEST_PAUSE = 60.0
"""Largest number of seconds between two looks, and between two notices of the same kind."""


class Watch:
    """Notice that no worker takes up the tasks of a run, while a caller waits for its result.

    It asks the store twice in the first six seconds, and then less and less often. A run that ends in the first half
    second costs nothing.

    Args:
        session: The session of the run.
        run_id: The run.
    """

    def __init__(self, session: Session, run_id: str) -> None:
        self._session = session
        self._run_id = run_id
        self._seen = -1
        self._pause = PATIENCE
        self._next_look = monotonic() + FIRST_LOOK

    @property
    def left(self) -> float:
        """Seconds until the next look."""
        return max(0.0, self._next_look - monotonic())

    async def look(self, record: RunRecord) -> None:
        """Tell the caller, if the run has stood still since the last look and a worker could go on with it.

        Args:
            record: The run as it is now.
        """
        if self.left:
            return
        stands_still = record.seq == self._seen
        self._seen = record.seq
        self._next_look = monotonic() + self._pause
        if not stands_still:
            return
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if record.status in FINISHED_RUN or not self._needs_others(record):
            return
        active = {TaskStatus.SCHEDULED, TaskStatus.RUNNING}
        tasks = await self._session.readable_store().tasks(self._run_id, statuses=active)
        if tasks and all(task.status is TaskStatus.SCHEDULED for task in tasks):
            self._session.tell_once(*explain(self._session, record, tasks[0]))

    def _needs_others(self, record: RunRecord) -> bool:
        """Return True if this process cannot go on with the run: its worker, if it has one, is busy otherwise."""
        engine = self._session.engine
        if not (engine.in_process or engine.runs_in_client):
            return True
        try:
            return self._session.plan_of(record) is None
        except ConfigurationError:
            return True


def explain(session: Session, record: RunRecord, task: Task) -> tuple[str, str]:
    """Return the kind of a notice, and the notice: which task no worker has taken up, and what to start.

    Args:
        session: The session of the run.
        record: The run.
        task: A task that could be claimed.
    """
    engine = session.engine
    what = f"run {record.id}" if record.status is RunStatus.PENDING else f"task {task.address} of run {record.id}"
    begin = f"no worker has taken up {what} for {PATIENCE:g} s"
    module = _module_of(session, record)
    if engine.in_process or engine.runs_in_client:
        kind = record.workflow_id
        text = (
            f"{begin}: workflow {record.workflow_id!r} in the version of the run is not known to engine "
            f"{engine.name!r} in this process. Name its module in the setting workflows"
        )
        return kind, text
    queue = task.queue or next(iter(engine.queues), engine.name)
    text = (
        f"{begin}: engine {engine.name!r} ({engine.describe()}), queue {queue!r}. "
        f"Start a worker: {worker_command(session, module, queue)}. If one is running, it is busy, serves another "
        f"queue or another store, or was not told of the module of workflow {record.workflow_id!r}: see its log"
    )
    return f"{queue} {record.workflow_id}", text


def worker_command(session: Session, module: str | None, queue: str | None = None) -> str:
    """Return the command that starts a worker for what this client sends, with secrets masked.

    Settings of the environment and of a settings file are not repeated: a worker that is started there reads them too.

    Args:
        session: The session.
        module: Name of the workflow's module; None: it is not known here.
        queue: The queue of the task.
    """
    values = session.loaded.given_by_caller() if session.loaded is not None else {}
    names = list(session.settings.workflows)
    if module is None:
        names = names or ["MODULE"]
    elif not _is_among(module, names):
        names.append(name_to_import(module))
    elif "workflows" not in values:
        names = []
    values["workflows"] = names
    if queue is not None and queue not in session.engine.queues:
        values["queues"] = queue
    return f"drawbar worker{command_options(values)}"


def check_is_told(session: Session, workflow: WorkflowDefinition[Any, Any]) -> None:
    """Tell the caller if a worker with the same settings would not know a workflow, before a run of it is sent.

    Nothing is told if no settings name modules, and there is no settings file that could.

    Args:
        session: The session.
        workflow: The workflow.
    """
    loaded = session.loaded
    if loaded is None or session.engine.in_process or session.engine.runs_in_client:
        return
    names = session.settings.workflows
    source = loaded.source_of("workflows") or (str(loaded.file) if loaded.file is not None else None)
    if source is None or _is_among(workflow.module, names):
        return
    registry = WorkflowRegistry(names)
    try:
        if registry.find(workflow.id, workflow.plan.fingerprint) is not None:
            return
    except ConfigurationError:
        return  # what cannot be imported here may be importable for workers
    session.tell_once(
        f"untold {workflow.id}",
        f"workflow {workflow.id!r} is in {name_to_import(workflow.module)}, which is not among the workflows of "
        f"{source} ({', '.join(names) or 'none'}): a worker with these settings does not know it. Add it there, or "
        f"start a worker with {worker_command(session, workflow.module)}",
    )


def _module_of(session: Session, record: RunRecord) -> str | None:
    try:
        plan = session.plan_of(record)
    except ConfigurationError:
        return None
    return None if plan is None else session.registry.workflow_of(plan).module


def _is_among(module: str, names: Sequence[str]) -> bool:
    """Return True if a module is one of those of a setting, by its name or its file."""
    if module in names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and any(
        name.endswith(".py") and Path(name).resolve() == Path(file).resolve() for name in names
    )
