"""The arguments of the scripts, made from core's records.

The first argument of a script is its head: a JSON array that Lua reads. Values of users are JSON text that Lua passes
on without reading it. '' stands for None everywhere, because no JSON text is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.records import (
    Arrive,
    FanOut,
    Finish,
    NewEvent,
    NewRun,
    NewTask,
    PlainEvent,
    RunStatus,
    TaskStatus,
    Transition,
)
from drawbar_redis.json_text import dump, dump_or_empty

if TYPE_CHECKING:
    from drawbar_redis.connection import Arg

_SCHEDULED = TaskStatus.SCHEDULED


def new_task(new: NewTask, join: str | None = None) -> str:
    """Return the text of a new task, as `add` and `pull` in lib.lua read it.

    Args:
        new: The task.
        join: The join that the same transition opens. The text of its tasks does not repeat its address.
    """
    fan: object = new.fan
    fan = 1 if join is not None and fan == join else fan or ""
    value = "" if new.input is None else dump(new.input)
    if new.status is _SCHEDULED:
        return f"{dump([new.address, new.kind, new.queue or '', fan])}\n{value}"
    output = dump_or_empty(new.output)
    head = [
        new.address, new.kind, new.queue or "", fan, new.status,
        False if new.delay is None else new.delay, False if new.until is None else new.until, new.event or "",
        len(value.encode("utf-8", "surrogatepass")), len(output.encode("utf-8", "surrogatepass")),
    ]  # fmt: skip
    return f"{dump(head)}\n{value}{output}{dump_or_empty(new.error)}"


def fan_head(fan: FanOut) -> list[object]:
    """Return the part of a fan-out that stands in the head of a script, as `fan_out` in new.lua takes it."""
    return [
        fan.join, fan.total, fan.window, len(fan.tasks), fan.fan or "", fan.places, fan.timed, fan.suspended,
    ]  # fmt: skip


def fan_out(fan: FanOut) -> list[str]:
    """Return the texts of a fan-out's tasks, then the addresses of those beyond its window.

    There may be very many, so the end of a text that is the same for all tasks is made once.
    """
    join, window = fan.join, fan.window
    texts = [new_task(new, join) for new in fan.tasks[:window]]
    addresses = []
    tails: dict[tuple[str, str | None], str] = {}
    for new in fan.tasks[window:]:
        tail = tails.get((new.kind, new.queue))
        if tail is None:
            tail = tails[new.kind, new.queue] = f",{dump([new.kind, new.queue or ''])[1:-1]},1]\n"
        value = new.input
        texts.append(f"[{dump(new.address)}{tail}{'' if value is None else dump(value)}")
        addresses.append(new.address)
    return texts + addresses


def event_tail(event: NewEvent | PlainEvent) -> str:
    """Return the text of an event without its start. The script puts the start with the time before it."""
    type_, address, data = event
    return dump([type_, address, data if type(data) is dict else dict(data or {})])[1:]


def end_event_data(end: Finish) -> str:
    """Return the data of the event of a run's end, or '' when the script makes it from the error."""
    if end.status is RunStatus.CANCELLED:
        return dump({"reason": (end.error or {}).get("message")})
    return ""


def for_commit(t: Transition, redispatch: float, retention: float) -> list[Arg]:
    """Return the arguments of commit.lua.

    Args:
        t: The transition.
        redispatch: Seconds until a SCHEDULED task is handed out again.
        retention: Seconds after its end that a run is deleted; 0: never.
    """
    follows: object = False
    follows_args: list[str] = []
    new = t.next
    if isinstance(new, NewTask):
        follows = ["task"]
        follows_args = [new_task(new)]
    elif isinstance(new, Arrive):
        follows = ["arrive", new.join, new.slot]
        follows_args = [dump(new.value)]
    elif isinstance(new, FanOut):
        follows = ["fan", *fan_head(new)]
        follows_args = fan_out(new)
    elif isinstance(new, Finish):
        follows = ["finish", new.status]
        follows_args = [dump_or_empty(new.output), dump_or_empty(new.error), end_event_data(new)]
    state = t.state or {}
    finished: list[str] = []
    unfinished: list[str] = []
    for extra in t.extra:
        (finished if extra.status.finished else unfinished).append(new_task(extra))
    head = [
        t.address, t.attempt, t.status, t.delay or 0, False if t.bail is None else t.bail,
        t.claim, t.owner, t.lease, t.queue or "", t.want_state,
        redispatch, retention, len(state), len(t.events), len(finished), follows,
        t.want_events,
    ]  # fmt: skip
    args: list[Arg] = [dump(head), dump_or_empty(t.output), dump_or_empty(t.error), dump_or_empty(t.payload)]
    for key, value in state.items():
        args += key, dump(value)
    args += [event_tail(event) for event in t.events]
    args += finished
    args += follows_args
    args += unfinished
    return args


def for_create(run: NewRun, redispatch: float) -> list[Arg]:
    """Return the arguments of create.lua.

    Args:
        run: The run.
        redispatch: Seconds until a SCHEDULED task is handed out again.
    """
    joins = [fan_head(fan) for fan in run.joins]
    head = [
        run.workflow_id, run.fingerprint, run.forked_from or "", redispatch, len(run.state), len(run.tasks), joins,
    ]  # fmt: skip
    args: list[Arg] = [dump(head), dump_or_empty(run.input), dump(run.metadata) if run.metadata else ""]
    for key, value in run.state.items():
        args += key, dump(value)
    args += [new_task(new) for new in run.tasks]
    for fan in run.joins:
        args += fan_out(fan)
    return args
