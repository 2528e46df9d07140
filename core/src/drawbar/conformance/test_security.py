"""SEC: a worker executes only what it is configured to execute."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

from drawbar import TaskStatus, workflow
from drawbar.conformance import flows as all_flows
from drawbar.conformance import witness
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import running
from drawbar.conformance.flows.common import mark
from drawbar.engine import Message
from drawbar.records import Kind, NewRun, NewTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar import Run
    from drawbar.conformance.rig import Rig

unlisted = workflow("unlisted").then(mark).commit()
"""A workflow that no worker knows: this module is not in the setting `workflows`."""


class InvalidMessage(Message):
    """A message whose payload is any JSON value."""

    def to_dict(self) -> dict[str, str]:
        """Return the JSON value in `address`."""
        return json.loads(self.address)  # type: ignore[no-any-return]



@clause("SEC-01")
async def test_invalid_messages(rig: Rig) -> None:
    """An invalid message is dropped: the worker keeps running, and works on the other messages in the queue."""
    texts = [
        "{}",
        '{"run_id": 1}',
        '["list"]',
        '{"run_id": {}, "address": [], "workflow": null, "fingerprint": 0}',
    ]
    invalid: Sequence[Message] = [InvalidMessage("", text, "", "") for text in texts]
    await rig.send(*invalid)
    await rig.send(Message("no such run", "../../etc/passwd", "no such workflow", "0" * 16))

    assert await rig.completed(all_flows.probe, "still here") == "still here"
    assert rig.workers is None or not rig.workers.failed()


@clause("SEC-02")
async def test_unknown_run(rig: Rig) -> None:
    """A message for a run or a task that the store does not have does nothing."""
    plan = all_flows.probe.plan
    run = await rig.start(running.gated, 1)
    await rig.wait_for_notes(run, "begun")
    await rig.send(
        Message("no-such-run", "echo", plan.id, plan.fingerprint),
        Message(run.id, "no-such-task", running.gated.id, running.gated.plan.fingerprint),
        Message(run.id, "wait", plan.id, plan.fingerprint),
    )
    assert await rig.completed(all_flows.probe, 1) == 1
    rig.open_gate("wait")

    assert (await rig.result(run)).output == 1
    assert len(rig.notes(run, "begun")) == 1


@clause("SEC-03", separate_process=True)
async def test_unknown_workflow(rig: Rig) -> None:
    """A run of a workflow that no worker knows waits in the store: it is not run, not failed and not lost."""
    run = await rig.start(unlisted, 1)
    for _ in range(2):
        await rig.deliver(run, "mark")
    assert await rig.completed(all_flows.probe, 1) == 1

    assert rig.notes(run) == []
    assert not (await run.status()).finished
    assert len(await rig.engine.store.tasks(run.id)) == 1


@clause("SEC-04")
async def test_other_fingerprint(rig: Rig) -> None:
    """A task of a workflow with a fingerprint that no worker knows waits in the store, and is never run with
    another plan."""
    other = "f" * 16
    first = NewTask("mark", Kind.STEP, 1)
    about = {witness.FOLDER: str(rig.folder)}
    run_id = uuid.uuid4().hex
    await rig.engine.store.create(NewRun(run_id, "gated", other, 1, [first], metadata=about))
    for _ in range(3):
        await rig.send(Message(run_id, "mark", "gated", other))
    assert await rig.completed(all_flows.probe, 1) == 1
    run: Run[Any] = rig.engine.get_run(run_id)

    assert rig.notes(run) == []
    assert not (await run.status()).finished
    (task,) = await rig.engine.store.tasks(run_id)
    assert (task.status, task.attempt) == (TaskStatus.SCHEDULED, 0)
    await run.cancel()


@clause("SEC-05")
async def test_messages_are_small_and_plain(rig: Rig) -> None:
    """A message is four strings, smaller than a kilobyte, without any value of the run, code or name of a module."""
    with rig.losing_messages() as lost:
        run = await rig.start(running.sums, 1, secret="x" * 2000)
    payloads = [message.to_dict() for message in lost]
    await run.cancel()

    assert [sorted(payload) for payload in payloads] == [["address", "fingerprint", "run_id", "workflow"]]
    assert all(isinstance(value, str) for payload in payloads for value in payload.values())
    assert len(json.dumps(payloads[0])) < 1024


@clause("SEC-06")
async def test_main(rig: Rig) -> None:
    """A workflow of `__main__` is refused if the workers are other processes, and the error says what to do; otherwise
    it runs."""
    settings, flags = dict(rig.subject.settings), dict(rig.subject.flags)
    program = f"""
import sys
from drawbar import step, workflow
from drawbar.client import Client
from drawbar.conformance.subject import EngineUnderTest
import pathlib, anyio

@step
async def here(value: int) -> int:
    return value + 1

async def main():
    subject = EngineUnderTest(name={rig.subject.name!r}, settings={settings!r}, flags={flags!r})
    loaded = subject.load({rig.store_url!r}, pathlib.Path.cwd())
    async with Client(loaded) as engine:
        run = await engine.start(workflow("of-main").then(here).commit(), 1)
        print("output", (await run.result(20)).output)

anyio.run(main)
"""
    file = rig.folder / "main.py"
    file.write_text(program)
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        [sys.executable, str(file)], cwd=rig.folder, capture_output=True, text=True, check=False, timeout=60
    )
    if rig.subject.in_process:
        assert done.stdout == "output 2\n", done.stderr
    else:
        assert "output" not in done.stdout
        assert "__main__" in done.stderr
        assert "workflows" in done.stderr


@clause("SEC-07")
async def test_nothing_is_imported(rig: Rig) -> None:
    """A message cannot make a worker import a module: the workflow that it names is looked up among the configured
    ones."""
    # A folder in which workers find modules: their working directory. In this process, put it on the path.
    folder = rig.workers.folder if rig.workers is not None else rig.folder
    name = f"trap_{uuid.uuid4().hex}"
    (folder / f"{name}.py").write_text(f"open({str(rig.folder / 'sprung')!r}, 'w').close()\n")
    sys.path.insert(0, str(folder))
    try:
        run = await rig.start(running.gated, 1)
        await rig.wait_for_notes(run, "begun")
        for named in (name, f"{name}:flow", str(folder / f"{name}.py"), "os:system", "builtins:exec"):
            await rig.send(Message(run.id, "wait", named, running.gated.plan.fingerprint))
        assert await rig.completed(all_flows.probe, 1) == 1
        rig.open_gate("wait")

        assert (await rig.result(run)).output == 1
        assert not (rig.folder / "sprung").exists()
    finally:
        sys.path.remove(str(folder))
