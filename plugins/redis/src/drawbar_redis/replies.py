"""The replies of the scripts, read into core's records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from drawbar.records import (
    Claim,
    ClaimStatus,
    EventRecord,
    FanOut,
    Json,
    Kind,
    NewTask,
    ReadyTask,
    Reply,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)
from drawbar_redis.json_text import decode_text, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = {kind.value: kind for kind in Kind}
_STATUSES = {status.value: status for status in TaskStatus}
_RUN_STATUSES = {status.value.encode(): status for status in RunStatus}
_loads = json.loads


def number(raw: str | bytes) -> float | None:
    """Return a number, or None for ''."""
    return float(raw) if raw else None


def task(run_id: str, address: str, record: bytes, wake_at: bytes) -> Task:
    """Return a task without its values.

    Args:
        run_id: The run.
        address: The task's address.
        record: A JSON array. `lib.lua` lists its places.
        wake_at: The task's score in the due index, or b'' when it has none.
    """
    (
        _, kind, status, attempt, failures, lost, queue, fan, parent, event,
        delay, was, owner, dispatches, total, remaining, _, started, finished, kept_wake_at, *rare,
    ) = _loads(record)  # fmt: skip
    made = Task(
        run_id, address, _KINDS[kind], _STATUSES[status], None, None, None, attempt, failures, lost,
        queue or None, fan or None, parent or None, event or None, None, None, number(wake_at or kept_wake_at),
        number(delay), _STATUSES[was] if was else None, owner or None, dispatches, total, remaining,
        number(started), number(finished),
    )  # fmt: skip
    if rare:
        made.places, made.timed, made.suspended, *waits = rare
        if waits:
            made.waits_at, made.turn = waits
    return made


def claimed_task(run_id: str, reply: Sequence[Any], transition: Transition | None = None) -> Task:
    """Return a task with its values.

    Args:
        run_id: The run.
        reply: The task, as `reply_task` in reply.lua returns it.
        transition: The transition that made the task. The reply does not repeat inputs that the transition has.
    """
    record, wake_at, address, place, value, output, error, payload, data = reply
    found = task(run_id, decode_text(address), record, wake_at)
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


def claim(run_id: str, reply: list[Any]) -> Claim:
    """Return the reply of claim.lua."""
    status = ClaimStatus(reply[0].decode())
    if status is ClaimStatus.GRANTED:
        return Claim(
            status,
            claimed_task(run_id, reply[1]),
            run(reply[2]),
            values_by_name(reply[3]),
            ready_tasks(reply[4]),
        )
    if status is ClaimStatus.OTHER_PLAN:
        return Claim(status, run=run(reply[1]))
    return Claim(status, ready=ready_tasks(reply[1]) if status is ClaimStatus.FINISHED else ())


def commit(transition: Transition, reply: list[Any]) -> Reply:
    """Return the reply of commit.lua."""
    if not reply[0]:
        return Reply(False)
    _, ended, next_task, slots, ready, state, seq, events = reply
    first = seq - len(events) + 1 if events else 0
    return Reply(
        True,
        None if next_task is None else claimed_task(transition.run_id, next_task, transition),
        values_by_name(slots),
        ready_tasks(ready),
        values_by_name(state),
        bool(ended),
        [event(place, raw) for place, raw in enumerate(events, first)] if events else (),
    )


def values_by_name(flat: Sequence[bytes] | None) -> Mapping[str, Json] | None:
    """Return the values of a hash, which Redis gives as a flat list of fields and values."""
    if flat is None:
        return None
    return {decode_text(flat[i]): load(flat[i + 1]) for i in range(0, len(flat), 2)}


def ready_tasks(flat: Sequence[bytes]) -> Sequence[ReadyTask]:
    """Return the tasks to dispatch, which scripts give as one flat list."""
    if not flat:
        return ()
    return [ReadyTask(decode_text(flat[i]), decode_text(flat[i + 1]) or None) for i in range(0, len(flat), 2)]


def run_without_values(run_id: str, flat: Sequence[bytes], seq: int) -> RunRecord:
    """Return a run without its values.

    Args:
        run_id: The run.
        flat: The fields and values of the run's hash.
        seq: The number of the run's newest event.
    """
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return RunRecord(
        run_id,
        decode_text(fields[b"workflow"]),
        decode_text(fields[b"fingerprint"]),
        _RUN_STATUSES[fields[b"status"]],
        forked_from=decode_text(fields[b"forked"]) or None,
        seq=seq,
        active=int(fields[b"active"]),
        timed=int(fields[b"timed"]),
        suspended=int(fields[b"suspended"]),
        created_at=float(fields[b"created"]),
        started_at=number(fields.get(b"started", b"")),
        finished_at=number(fields.get(b"finished", b"")),
    )


def run(reply: Sequence[Any]) -> RunRecord:
    """Return a run with its values, as `reply_run` in reply.lua returns it."""
    flat, seq, value, output, error, metadata, state, run_id = reply
    record = run_without_values(decode_text(run_id), flat, seq)
    record.input = load(value)
    record.output = load(output)
    record.error = load(error)
    record.metadata = load(metadata) or {}
    record.state = dict(values_by_name(state) or {})
    return record


def event(seq: int, raw: bytes) -> EventRecord:
    """Return an event.

    Args:
        seq: The event's number.
        raw: The event's text, as `event` in lib.lua appends it.
    """
    at, type_, address, data = _loads(raw.decode("utf-8", "surrogatepass"))
    return EventRecord(seq, type_, address, data, at)


def outputs(addresses: Sequence[str], reply: Sequence[bytes | None]) -> Mapping[str, Json]:
    """Return the outputs in a reply of HMGET. Only a COMPLETED task has one."""
    return {address: load(raw) for address, raw in zip(addresses, reply, strict=True) if raw is not None}


def all_tasks(run_id: str, reply: Sequence[Any]) -> list[Task]:
    """Return the tasks in the reply of tasks.lua, in the order of their creation."""
    if not reply:
        return []
    unfinished, finished, values, *joins = reply
    found: dict[str, tuple[int, Task]] = {}
    for i in range(0, len(unfinished), 3):
        _collect_task(found, run_id, unfinished[i], unfinished[i + 1], unfinished[i + 2])
    for i in range(0, len(finished), 2):
        _collect_task(found, run_id, finished[i], finished[i + 1], b"")
    for join in joins:
        _collect_held_tasks(found, run_id, *join)
    for i in range(0, len(values), 2):
        field, value = decode_text(values[i]), load(values[i + 1])
        known = found.get(field[1:])
        if known is None:
            continue
        match field[0]:  # `keep_value` in lib.lua lists these letters
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


def _collect_task(
    found: dict[str, tuple[int, Task]], run_id: str, address: bytes, record: bytes, wake_at: bytes
) -> None:
    name = decode_text(address)
    place = int(record[1 : record.index(b",")])
    found[name] = place, task(run_id, name, record, wake_at)


def _collect_held_tasks(
    found: dict[str, tuple[int, Task]],
    run_id: str,
    join: bytes,
    last: bytes,
    record: bytes,
    items: Sequence[bytes],
) -> None:
    """Add the tasks that a join holds back. They have no records yet, only the texts that they were created from."""
    parent = task(run_id, decode_text(join), record, b"").parent
    place = int(last) - len(items)
    for raw in items:
        place += 1
        head, _, value = raw.partition(b"\n")
        address, kind, queue, _ = _loads(head)
        if address not in found:
            held = Task(run_id, address, _KINDS[kind], TaskStatus.HELD, load(value), queue=queue or None)
            held.fan, held.parent = decode_text(join), parent
            found[address] = place, held
