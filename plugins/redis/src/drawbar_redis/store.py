"""The store: every operation is one script, one round trip."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from drawbar.errors import (
    NotSuspended,
    RunFinished,
    RunNotFound,
    StoreError,
    StoreUnavailable,
    StoreVersionError,
)
from drawbar.records import Claim, ClaimStatus, Due, Kind, Message, Reply
from drawbar.stores.base import Ready, Store
from drawbar.stores.values import carries
from drawbar_redis import codec, scripts
from drawbar_redis.client import Client
from drawbar_redis.codec import dump
from drawbar_redis.keys import Keys, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drawbar.records import (
        EventRecord,
        Json,
        NewEvent,
        NewRun,
        RunRecord,
        RunStatus,
        Task,
        TaskStatus,
        Transition,
    )
    from drawbar_redis.connection import Arg
    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script

_log = logging.getLogger(__name__)

SCHEMA = 1
"""Version of the layout of the data. Every change of a key or a record raises it."""
PAGE = 100
"""How many runs are looked at in one round trip, at the least, where only Python can tell which are wanted."""
END = dump(["$end", Kind.CALLBACK, "", ""]) + "\n"
"""The task that runs a run's callbacks, as an item."""


class RedisStore(Store):
    """Runs on Redis. Made from a URL by the plugin.

    One object serves every thread, event loop and process: connections are made where they are first needed,
    and a forked child forgets its parent's.

    Args:
        options: Where the server is and how its keys are laid out.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.keys = Keys(options.prefix, options.shards)
        self._client = Client(options)

    def __repr__(self) -> str:
        return f"RedisStore({self.options.where}, prefix={self.options.prefix!r})"

    async def open(self) -> None:
        """Connects, and looks whether the data is of our layout."""
        key = self.keys.schema
        ours = f"{SCHEMA} shards={self.options.shards}"
        await self._client.command(key, "SETNX", key, ours)
        found = codec.text(await self._client.command(key, "GET", key))
        if found != ours:
            raise StoreVersionError(
                f"Redis at {self.options.where} holds Drawbar data of layout {found!r} under the prefix "
                f"{self.options.prefix!r}, and this drawbar-redis, with this URL, reads {ours!r}. Install "
                "the drawbar-redis that wrote it, or give the store another prefix (?prefix=…)"
            )
        await self._check_eviction()

    async def _check_eviction(self) -> None:
        try:
            reply = await self._client.command(self.keys.schema, "CONFIG", "GET", "maxmemory-policy")
        except StoreUnavailable:
            raise
        except StoreError:  # hosted servers do not let us ask
            return
        policy = codec.text(reply[1]) if len(reply) > 1 else "noeviction"
        if policy.startswith("allkeys") or (policy.startswith("volatile") and self.options.retention):
            _log.warning(
                "Redis at %s has maxmemory-policy %s: when its memory is full it silently deletes keys, "
                "and runs with them. Set it to noeviction",
                self.options.where,
                policy,
            )

    async def close(self) -> None:
        """Lets go of every connection of this process."""
        await self._client.close()

    async def _script(self, script: Script, run_id: str, args: Sequence[Arg], *, again: bool = False) -> Any:
        """Runs the script of one run."""
        return await self._client.script(script, self.keys.run(run_id), args, again=again)

    async def _shard(self, script: Script, shard: int, args: Sequence[Arg], *, again: bool = False) -> Any:
        """Runs the script of one shard."""
        return await self._client.script(script, (self.keys.dues[shard],), args, again=again)

    # A worker's path

    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        """Creates a run; `run_id` decides the shard, and so the node in a cluster."""
        created, reply = await self._script(scripts.CREATE, run.id, codec.run_args(run, self.redispatch))
        if not created:
            return codec.run(reply), False
        record = codec.run_head(run.id, *reply)
        record.input, record.state, record.metadata = run.input, dict(run.state), dict(run.metadata)
        return record, True

    async def claim(
        self, run_id: str, address: str, *, owner: str, lease: float, widen: bool = False
    ) -> Claim:
        """Leases a task."""
        reply = await self._script(scripts.CLAIM, run_id, (dump([address, owner, lease, widen, self.redispatch]),))
        status = ClaimStatus(reply[0].decode())
        if status is ClaimStatus.GRANTED:
            return Claim(
                status,
                codec.claimed(run_id, reply[1]),
                codec.run(reply[2]),
                codec.pairs(reply[3]),
                codec.ready(reply[4]),
            )
        return Claim(status, ready=codec.ready(reply[1]) if status is ClaimStatus.FINISHED else ())

    async def commit(self, transition: Transition) -> Reply:
        """Applies a transition."""
        args = codec.transition_args(transition, self.redispatch, self.options.retention)
        return _committed(transition, await self._script(scripts.COMMIT, transition.run_id, args))

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """Applies a transition, in a thread."""
        if not may_block:
            return None
        args = codec.transition_args(transition, self.redispatch, self.options.retention)
        keys = self.keys.run(transition.run_id)
        try:
            reply = self._client.script_now(scripts.COMMIT, keys, args)
        except StoreError:
            return None  # `commit` knows what can be done about it, and what to say
        return _committed(transition, reply)

    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        """Extends leases: one round trip a shard."""
        by_shard: dict[int, list[tuple[str, str, int]]] = {}
        for one in held:
            by_shard.setdefault(self.keys.shard(one[0]), []).append(one)
        lost = []
        for shard, mine in by_shard.items():
            head = dump([owner, lease, *(attempt for _, _, attempt in mine)])
            names = (packed(run_id, address) for run_id, address, _ in mine)
            lost += [mine[place] for place in await self._shard(scripts.RENEW, shard, (head, *names), again=True)]
        return lost

    async def release(self, owner: str, *, died: bool = False) -> int:
        """Gives back all that an owner runs."""
        shards = range(len(self.keys.bases))
        return sum([await self._shard(scripts.RELEASE, shard, (dump([owner, died]),)) for shard in shards])

    async def owners(self) -> Sequence[str]:
        """The owners of all leases."""
        found = set()
        for base in self.keys.bases:
            for lease in await self._client.command(f"{base}due", "HVALS", f"{base}leases"):
                found.add(codec.text(lease).partition(":")[2])
        return sorted(found)

    async def due(self, limit: int = 100, *, undelivered: bool = False) -> Due:
        """Hands out what is overdue."""
        messages: list[Message] = []
        waits = []
        for shard in range(len(self.keys.bases)):
            head = dump([limit - len(messages), self.redispatch, self.options.retention, undelivered])
            next_in, *flat = await self._shard(scripts.DUE, shard, (head,))
            if next_in:
                waits.append(float(next_in))
            texts = [codec.text(raw) for raw in flat]
            for i in range(0, len(texts), 5):
                run_id, address, workflow_id, fingerprint, queue = texts[i : i + 5]
                messages.append(Message(run_id, address, workflow_id, fingerprint, queue or None))
        return Due(messages, min(waits) if waits else None)

    # What people do to runs

    async def resume(self, run_id: str, address: str, data: Json) -> Ready:
        """Frees a suspended task."""
        reply = await self._script(scripts.RESUME, run_id, (dump([address, self.redispatch]), dump(data)))
        resumed, what = _found(run_id, reply)
        if resumed:
            return codec.ready(what)
        is_now = f"is {what.decode()}" if what else "is not there"
        raise NotSuspended(f"run {run_id!r} has nothing to resume at {address!r}: it {is_now}")

    async def send_event(self, run_id: str, name: str, payload: Json) -> Ready:
        """Hands an event to a waiting task, or keeps it."""
        reply = await self._script(scripts.SEND_EVENT, run_id, (dump([name, self.redispatch]), dump(payload)))
        sent, what = _found(run_id, reply)
        if sent:
            return codec.ready(what)
        raise RunFinished(f"run {run_id!r} is {what.decode()}: it takes no more events")

    async def cancel(self, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
        """Ends a run as cancelled."""
        error = {"type": "RunCancelled", "message": reason or ""}
        head = dump([callback, self.redispatch, self.options.retention])
        args = (head, dump(error), dump({"reason": error["message"]}), END)
        ended, *ready = _found(run_id, await self._script(scripts.CANCEL, run_id, args))
        return bool(ended), codec.ready(ready[0]) if ready else ()

    async def retry(self, run_id: str) -> Ready:
        """Sets a failed run going again."""
        again, what = _found(run_id, await self._script(scripts.RETRY, run_id, (dump([self.redispatch]),)))
        if again:
            return codec.ready(what)
        raise RunFinished(f"run {run_id!r} is {what.decode()}: only a failed run can be retried")

    async def emit(self, run_id: str, events: Sequence[NewEvent]) -> int:
        """Appends events."""
        reply = await self._script(scripts.EMIT, run_id, [codec.event_tail(event) for event in events])
        (newest,) = _found(run_id, reply)
        return int(newest)

    # Reading

    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Outputs of completed tasks."""
        if not addresses:
            return {}
        key = self.keys.of(run_id, "values")
        reply = await self._client.command(
            self.keys.run(run_id)[0], "HMGET", key, *(f"o{address}" for address in addresses)
        )
        return _some(addresses, reply)

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Outputs of completed tasks, blocking."""
        if not addresses:
            return {}
        key = self.keys.of(run_id, "values")
        reply = self._client.now("HMGET", key, *(f"o{address}" for address in addresses))
        return _some(addresses, reply)

    async def load(self, run_id: str) -> RunRecord | None:
        """The run."""
        reply = await self._script(scripts.LOAD, run_id, (), again=True)
        return codec.run(reply) if reply else None

    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        """Its tasks."""
        wanted = [] if statuses is None else list(statuses)
        if statuses is not None and not wanted:
            return []
        reply = await self._script(scripts.TASKS, run_id, (dump(wanted),), again=True)
        return codec.all_tasks(run_id, reply)

    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        """Runs, newest first."""
        found: list[RunRecord] = []
        for shard in range(len(self.keys.bases)):
            here: dict[str, RunRecord] = {}  # by id: a run that is created between two pages moves the others on
            offset = 0
            while offset >= 0 and len(here) < limit:
                most = max(limit, PAGE) if metadata else limit - len(here)
                head = dump([offset, most, workflow_id or False, status or False])
                offset, *replies = await self._shard(scripts.RUNS, shard, (head,), again=True)
                for record in map(codec.run, replies):
                    if not metadata or carries(record.metadata, metadata):
                        here.setdefault(record.id, record)
            found += here.values()
        found.sort(key=lambda record: record.created_at, reverse=True)
        return found[:limit]

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        """Events, in order."""
        if limit <= 0:
            return []
        key = self.keys.of(run_id, "events")
        reply = await self._client.command(self.keys.run(run_id)[0], "LRANGE", key, after, after + limit - 1)
        return [codec.event(seq, raw) for seq, raw in enumerate(reply, after + 1)]

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        """Waits for events, or for the run to be at rest."""
        newest = 0

        async def look() -> bool:
            nonlocal newest
            newest, rests = await self._script(scripts.REST, run_id, (), again=True)
            return not newest or bool(rests if settled else newest > after)

        await self._client.wait(self.keys.of(run_id, "rest" if settled else "events"), timeout, look)
        return newest

    async def purge(self, older_than: float) -> int:
        """Deletes runs that ended long ago."""
        deleted = 0
        for shard in range(len(self.keys.bases)):
            more = True
            while more:
                count, more = await self._shard(scripts.PURGE, shard, (dump([older_than]),))
                deleted += count
        return deleted


def _committed(transition: Transition, reply: list[Any]) -> Reply:
    """What `commit.lua` replied."""
    if not reply[0]:
        return Reply(False)
    _, ended, task, slots, ready, state, seq, events = reply
    return Reply(
        True,
        None if task is None else codec.claimed(transition.run_id, task, transition),
        codec.pairs(slots),
        codec.ready(ready),
        codec.pairs(state),
        bool(ended),
        [codec.event(number, raw) for number, raw in enumerate(events, seq - len(events) + 1)] if events else (),
    )


_NO_RUN = "there is no run {!r} in this store"


def _found(run_id: str, reply: list[Any]) -> list[Any]:
    """The reply of a script that gives nothing when there is no such run."""
    if not reply:
        raise RunNotFound(_NO_RUN.format(run_id))
    return reply


def _some(addresses: Sequence[str], reply: Sequence[bytes | None]) -> Mapping[str, Json]:
    """Outputs that are there: a task has one when it is COMPLETED, and only then."""
    return {address: codec.load(raw) for address, raw in zip(addresses, reply, strict=True) if raw is not None}
