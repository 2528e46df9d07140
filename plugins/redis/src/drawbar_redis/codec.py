"""Records to what the scripts take, and back.

Users' values go as JSON text that Lua never reads; heads are JSON arrays that it does. ''
is None everywhere: no JSON text is empty.
"""

from __future__ import annotations

import json
from json import encoder
from typing import TYPE_CHECKING, Any, cast

from drawbar.records import (
    Arrive,
    EventRecord,
    FanOut,
    Finish,
    Json,
    Kind,
    NewEvent,
    NewRun,
    NewTask,
    PlainEvent,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drawbar_redis.connection import Arg

_KINDS = {kind.value: kind for kind in Kind}
_STATUSES = {status.value: status for status in TaskStatus}
_RUN_STATUSES = {status.value.encode(): status for status in RunStatus}
_SCHEDULED = TaskStatus.SCHEDULED


def _refuse(value: object) -> Json:
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _fast() -> Callable[[Json], str]:
    """The encoder of `json` without what it sets up anew for every value."""
    make: Any = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
    encode = make(None, _refuse, encoder.encode_basestring, None, ":", ",", False, False, True)
    return lambda value: "".join(encode(value, 0))


dump = _fast()
_loads = json.loads


def text(raw: bytes) -> str:
    """What Redis gave, as text."""
    return raw.decode("utf-8", "surrogatepass")


def load(raw: bytes | None) -> Json:
    """A value, or None when there is none."""
    return _loads(raw.decode("utf-8", "surrogatepass")) if raw else None


def blob(value: Json) -> str:
    """A value's JSON text; '' for None."""
    return "" if value is None else dump(value)


# To Redis


def item(new: NewTask, join: str | None = None) -> str:
    """A new task, as `add` and `pull` in lib.lua read it."""
    fan: object = new.fan
    fan = 1 if join is not None and fan == join else fan or ""
    value = "" if new.input is None else dump(new.input)
    if new.status is _SCHEDULED:
        return f"{dump([new.address, new.kind, new.queue or '', fan])}\n{value}"
    output = blob(new.output)
    head = [
        new.address, new.kind, new.queue or "", fan, new.status,
        False if new.delay is None else new.delay, False if new.until is None else new.until, new.event or "",
        len(value.encode("utf-8", "surrogatepass")), len(output.encode("utf-8", "surrogatepass")),
    ]  # fmt: skip
    return f"{dump(head)}\n{value}{output}{blob(new.error)}"


def fan_items(fan: FanOut) -> list[str]:
    """The tasks of a fan-out, then the addresses of those beyond the window; cheaply, there may be very many."""
    join, window = fan.join, fan.window
    items = [item(new, join) for new in fan.tasks[:window]]
    addresses = []
    tails: dict[tuple[str, str | None], str] = {}
    for new in fan.tasks[window:]:
        tail = tails.get((new.kind, new.queue))
        if tail is None:
            tail = tails[new.kind, new.queue] = f",{dump([new.kind, new.queue or ''])[1:-1]},1]\n"
        value = new.input
        items.append(f"[{dump(new.address)}{tail}{'' if value is None else dump(value)}")
        addresses.append(new.address)
    return items + addresses


def event_tail(event: NewEvent | PlainEvent) -> str:
    """An event without its time, which the store puts before it."""
    type_, address, data = event
    return dump([type_, address, data if type(data) is dict else dict(data or {})])[1:]


def transition_args(t: Transition, redispatch: float, retention: float) -> list[Arg]:
    """The arguments of commit.lua."""
    follows: object = False
    needs: list[str] = []
    new = t.next
    if isinstance(new, NewTask):
        follows = ["task"]
        needs = [item(new)]
    elif isinstance(new, Arrive):
        follows = ["arrive", new.join, new.slot]
        needs = [dump(new.value)]
    elif isinstance(new, FanOut):
        follows = ["fan", new.join, new.total, new.window, len(new.tasks)]
        needs = fan_items(new)
    elif isinstance(new, Finish):
        follows = ["finish", new.status]
        needs = [blob(new.output), blob(new.error), end_data(new)]
    state = t.state or {}
    ended: list[str] = []
    open_: list[str] = []
    for extra in t.extra:
        (ended if extra.status.finished else open_).append(item(extra))
    head = [
        t.address, t.attempt, t.status, t.delay or 0, False if t.bail is None else t.bail,
        False if t.pull is None else t.pull, t.claim, t.owner, t.lease, t.queue or "", t.want_state,
        redispatch, retention, len(state), len(t.events), len(ended), follows,
        t.want_events,
    ]  # fmt: skip
    args: list[Arg] = [dump(head), blob(t.output), blob(t.error), blob(t.payload)]
    for key, value in state.items():
        args += key, dump(value)
    args += [event_tail(event) for event in t.events]
    args += ended
    args += needs
    args += open_
    return args


def end_data(end: Finish) -> str:
    """The data of the event of a run's end, where it is not the error as it stands."""
    if end.status is RunStatus.CANCELLED:
        return dump({"reason": (end.error or {}).get("message")})
    return ""


def run_args(run: NewRun, redispatch: float) -> list[Arg]:
    """The arguments of create.lua."""
    head = [run.workflow_id, run.fingerprint, run.forked_from or "", redispatch, len(run.state)]
    args: list[Arg] = [dump(head), blob(run.input), dump(run.metadata) if run.metadata else ""]
    for key, value in run.state.items():
        args += key, dump(value)
    args += [item(new) for new in run.tasks]
    return args


# From Redis


def _number(raw: str | bytes) -> float | None:
    return float(raw) if raw else None


def task(run_id: str, address: str, record: bytes, wake_at: bytes) -> Task:
    """A task without its values. `record` is laid out as lib.lua says."""
    (
        _, kind, status, attempt, failures, lost, queue, fan, parent, event,
        delay, was, owner, dispatches, total, remaining, _, started, finished, woken,
    ) = _loads(record)  # fmt: skip
    return Task(
        run_id, address, _KINDS[kind], _STATUSES[status], None, None, None, attempt, failures, lost,
        queue or None, fan or None, parent or None, event or None, None, None, _number(wake_at or woken),
        _number(delay), _STATUSES[was] if was else None, owner or None, dispatches, total, remaining,
        _number(started), _number(finished),
    )  # fmt: skip


def claimed(run_id: str, reply: Sequence[Any], transition: Transition | None = None) -> Task:
    """A task with its values, as `reply_task` in lib.lua gives it."""
    record, wake_at, address, place, value, output, error, payload, data = reply
    found = task(run_id, text(address), record, wake_at)
    if place < 0 or transition is None:
        found.input = load(value)
    elif place:
        found.input = cast("FanOut", transition.next).tasks[place - 1].input
    else:
        found.input = cast("NewTask", transition.next).input
    if output:
        found.output = load(output)
    if error:
        found.error = load(error)
    if payload:
        found.payload = load(payload)
    if data is not None:
        found.data = (load(data),)
    return found


def pairs(flat: Sequence[bytes] | None) -> Mapping[str, Json] | None:
    """A hash of values."""
    if flat is None:
        return None
    return {text(flat[i]): load(flat[i + 1]) for i in range(0, len(flat), 2)}


def ready(flat: Sequence[bytes]) -> Sequence[tuple[str, str | None]]:
    """Addresses and queues."""
    if not flat:
        return ()
    return [(text(flat[i]), text(flat[i + 1]) or None) for i in range(0, len(flat), 2)]


def run_head(run_id: str, flat: Sequence[bytes], seq: int) -> RunRecord:
    """A run without its values."""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return RunRecord(
        run_id,
        text(fields[b"workflow"]),
        text(fields[b"fingerprint"]),
        _RUN_STATUSES[fields[b"status"]],
        forked_from=text(fields[b"forked"]) or None,
        seq=seq,
        active=int(fields[b"active"]),
        timed=int(fields[b"timed"]),
        suspended=int(fields[b"suspended"]),
        created_at=float(fields[b"created"]),
        started_at=_number(fields.get(b"started", b"")),
        finished_at=_number(fields.get(b"finished", b"")),
    )


def run(reply: Sequence[Any]) -> RunRecord:
    """A run with its values, as `reply_run` in lib.lua gives it."""
    flat, seq, value, output, error, metadata, state, run_id = reply
    record = run_head(text(run_id), flat, seq)
    record.input = load(value)
    record.output = load(output)
    record.error = load(error)
    record.metadata = load(metadata) or {}
    record.state = dict(pairs(state) or {})
    return record


def event(seq: int, raw: bytes) -> EventRecord:
    """An event, as it was appended."""
    at, type_, address, data = _loads(raw.decode("utf-8", "surrogatepass"))
    return EventRecord(seq, type_, address, data, at)


def all_tasks(run_id: str, reply: Sequence[Any]) -> list[Task]:
    """Tasks in the order of their creation, as tasks.lua gives them."""
    if not reply:
        return []
    unfinished, finished, values, *joins = reply
    found: dict[str, tuple[int, Task]] = {}
    for i in range(0, len(unfinished), 3):
        _keep(found, run_id, unfinished[i], unfinished[i + 1], unfinished[i + 2])
    for i in range(0, len(finished), 2):
        _keep(found, run_id, finished[i], finished[i + 1], b"")
    for join in joins:
        _held(found, run_id, *join)
    for i in range(0, len(values), 2):
        field, value = text(values[i]), load(values[i + 1])
        known = found.get(field[1:])
        if known is None:
            continue
        match field[0]:
            case "i":
                known[1].input = value
            case "o" | "x":
                known[1].output = value
            case "e":
                known[1].error = value
            case "p":
                known[1].payload = value
            case "d":
                known[1].data = (value,)
    return [known for _, known in sorted(found.values(), key=lambda pair: pair[0])]


def _keep(found: dict[str, tuple[int, Task]], run_id: str, address: bytes, record: bytes, wake_at: bytes) -> None:
    name = text(address)
    found[name] = int(record[1 : record.index(b",")]), task(run_id, name, record, wake_at)


def _held(
    found: dict[str, tuple[int, Task]],
    run_id: str,
    join: bytes,
    last: bytes,
    record: bytes,
    items: Sequence[bytes],
) -> None:
    parent = task(run_id, text(join), record, b"").parent
    number = int(last) - len(items)
    for raw in items:
        number += 1
        head, _, value = raw.partition(b"\n")
        address, kind, queue, _ = _loads(head)
        if address not in found:
            held = Task(run_id, address, _KINDS[kind], TaskStatus.HELD, load(value), queue=queue or None)
            held.fan, held.parent = text(join), parent
            found[address] = number, held
