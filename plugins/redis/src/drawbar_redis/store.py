"""The Redis store.

Each operation is one Lua script or command, and one round trip. An operation that looks at all runs takes one for each
shard.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from drawbar.errors import (
    NotSuspended,
    RunCancelled,
    RunFinished,
    StoreError,
    StoreUnavailable,
    StoreVersionError,
)
from drawbar.records import END, Due, Finish, Kind, Message, NewTask, Reply, RunStatus
from drawbar.stores.base import Ready, Store, no_such_run
from drawbar.stores.values import carries
from drawbar_redis import arguments, replies, scripts
from drawbar_redis.client import Client
from drawbar_redis.json_text import decode_text, dump, dump_or_empty
from drawbar_redis.keys import Keys, pack_pair

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from drawbar.records import (
        Claim,
        EventRecord,
        Json,
        NewEvent,
        NewRun,
        RunRecord,
        Task,
        TaskStatus,
        Transition,
    )
    from drawbar_redis.connection import Arg
    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
"""The version of the layout of the data. Raise it with every change of a key or a record."""
MIN_PAGE = 100
"""Runs to fetch in one round trip, at least, when only Python can tell which of them are wanted."""
CALLBACK_TASK = arguments.new_task(NewTask(END, Kind.CALLBACK))
"""The task that runs a workflow's callbacks for the end, as an argument of a script."""


class RedisStore(Store):
    """A store that keeps runs on Redis. The plugin makes it from a URL.

    One object serves all threads, event loops and processes. It connects where and when it is first used, and a forked
    child does not use its parent's connections.

    Args:
        options: The server, and the layout of the store's keys.

    Attributes:
        options: The same options.
        keys: The names of the store's keys.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.keys = Keys(options.prefix, options.shards)
        self._client = Client(options)

    def __repr__(self) -> str:
        return f"RedisStore({self.options.location}, prefix={self.options.prefix!r})"

    async def open(self) -> None:
        """Connect, and check that the data has the layout of this version.

        Raises:
            StoreUnavailable: The server cannot be reached.
            StoreVersionError: The data has another layout, or another number of shards.
        """
        key = self.keys.schema
        expected = f"{SCHEMA_VERSION} shards={self.options.shards}"
        await self._client.run_command(key, "SETNX", key, expected)
        found = decode_text(await self._client.run_command(key, "GET", key))
        if found != expected:
            raise StoreVersionError(
                f"Redis at {self.options.location} holds Drawbar data of layout {found!r} under the prefix "
                f"{self.options.prefix!r}. This drawbar-redis, with this URL, reads layout {expected!r}. Install "
                "the drawbar-redis that wrote the data, or give the store another prefix (?prefix=…)"
            )
        await self._warn_of_eviction()

    async def _warn_of_eviction(self) -> None:
        try:
            reply = await self._client.run_command(self.keys.schema, "CONFIG", "GET", "maxmemory-policy")
        except StoreUnavailable:
            raise
        except StoreError:  # hosted servers often refuse CONFIG
            return
        policy = decode_text(reply[1]) if len(reply) > 1 else "noeviction"
        if policy.startswith("allkeys") or (policy.startswith("volatile") and self.options.retention):
            _log.warning(
                "Redis at %s has maxmemory-policy %s: it silently deletes keys when its memory is full, "
                "and runs with them. Set maxmemory-policy to noeviction",
                self.options.location,
                policy,
            )

    async def close(self) -> None:
        """Close all connections of this process."""
        await self._client.close()

    async def _run_on_run(self, script: Script, run_id: str, args: Sequence[Arg], *, idempotent: bool = False) -> Any:
        """Run a script that works on one run."""
        return await self._client.run_script(script, self.keys.script_keys(run_id), args, idempotent=idempotent)

    async def _run_on_shard(self, script: Script, shard: int, args: Sequence[Arg], *, idempotent: bool = False) -> Any:
        """Run a script that works on one shard."""
        return await self._client.run_script(script, (self.keys.due_indexes[shard],), args, idempotent=idempotent)

    # Operations of a worker

    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        """Create a run. See `Store.create`."""
        args = arguments.for_create(run, self.redispatch)
        created, reply = await self._run_on_run(scripts.CREATE, run.id, args)
        if not created:
            return replies.run(reply), False
        record = replies.run_without_values(run.id, *reply)
        record.input, record.state, record.metadata = run.input, dict(run.state), dict(run.metadata)
        return record, True

    async def claim(
        self,
        run_id: str,
        address: str,
        *,
        owner: str,
        lease: float,
        widen: bool = False,
        fingerprint: str | None = None,
    ) -> Claim:
        """Lease a task to an owner. See `Store.claim`."""
        head = dump([address, owner, lease, widen, self.redispatch, fingerprint or False])
        return replies.claim(run_id, await self._run_on_run(scripts.CLAIM, run_id, (head,)))

    async def commit(self, transition: Transition) -> Reply:
        """Apply a transition. See `Store.commit`."""
        args = arguments.for_commit(transition, self.redispatch, self.options.retention)
        return replies.commit(transition, await self._run_on_run(scripts.COMMIT, transition.run_id, args))

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """Apply a transition and block the calling thread. See `Store.commit_now`."""
        if not may_block:
            return None
        args = arguments.for_commit(transition, self.redispatch, self.options.retention)
        keys = self.keys.script_keys(transition.run_id)
        try:
            reply = self._client.blocking.run_script(scripts.COMMIT, keys, args)
        except StoreError:
            return None  # the caller goes on with `commit`, which knows how to go on or what to report
        return replies.commit(transition, reply)

    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        """Extend leases, with one round trip for each shard. See `Store.renew`."""
        lost = []
        for shard, of_shard in self._by_shard(held).items():
            args = _leases([owner, lease], of_shard)
            places = await self._run_on_shard(scripts.RENEW, shard, args, idempotent=True)
            lost += [of_shard[place] for place in places]
        return lost

    def _by_shard(self, leases: Iterable[tuple[str, str, int]]) -> dict[int, list[tuple[str, str, int]]]:
        found: dict[int, list[tuple[str, str, int]]] = {}
        for lease in leases:
            found.setdefault(self.keys.shard_of(lease[0]), []).append(lease)
        return found

    async def release(
        self, owner: str, *, died: bool = False, only: Collection[tuple[str, str, int]] | None = None
    ) -> int:
        """Give back tasks that an owner runs. See `Store.release`."""
        leases = dict.fromkeys(range(self.options.shards), ()) if only is None else self._by_shard(only)
        released = 0
        for shard, of_shard in leases.items():
            released += await self._run_on_shard(scripts.RELEASE, shard, _leases([owner, died], of_shard))
        return released

    async def owners(self) -> Sequence[str]:
        """Return the owners of all leases. See `Store.owners`."""
        found = set()
        for shard_prefix in self.keys.shard_prefixes:
            for lease in await self._client.run_command(f"{shard_prefix}due", "HVALS", f"{shard_prefix}leases"):
                found.add(decode_text(lease).partition(":")[2])
        return sorted(found)

    async def due(
        self,
        limit: int = 100,
        *,
        undelivered: bool = False,
        plans: Collection[str] | None = None,
        alive: Collection[str] = (),
        lease: float = 60.0,
    ) -> Due:
        """Hand out tasks whose time has come. See `Store.due`."""
        messages: list[Message] = []
        held: list[tuple[str, str, str, int]] = []
        waits = []
        choice = [self.options.retention, undelivered, False if plans is None else list(plans), list(alive), lease]
        for shard in range(self.options.shards):
            head = dump([limit - len(messages) - len(held), self.redispatch, *choice])
            next_in, leases, *flat = await self._run_on_shard(scripts.DUE, shard, (head,))
            for i in range(0, len(leases), 4):
                owner, run_id, address = map(decode_text, leases[i : i + 3])
                held.append((owner, run_id, address, int(leases[i + 3])))
            if next_in:
                waits.append(float(next_in))
            texts = [decode_text(raw) for raw in flat]
            for i in range(0, len(texts), 5):
                run_id, address, workflow_id, fingerprint, queue = texts[i : i + 5]
                messages.append(Message(run_id, address, workflow_id, fingerprint, queue or None))
        return Due(messages, min(waits) if waits else None, held)

    async def stranded(self, seconds: float, limit: int = 100) -> Sequence[RunRecord]:
        """Return the runs with a task that is due for long. See `Store.stranded`."""
        head = dump([seconds, limit])
        found: list[Any] = []
        for shard in range(self.options.shards):
            found += await self._run_on_shard(scripts.STRANDED, shard, (head,), idempotent=True)
        found.sort(key=lambda one: float(one[0]))
        return [replies.run(run) for _, run in found[:limit]]

    # Operations of a client

    async def resume(self, run_id: str, address: str, data: Json) -> Ready:
        """Make a SUSPENDED task SCHEDULED with data. See `Store.resume`."""
        reply = await self._run_on_run(scripts.RESUME, run_id, (dump([address, self.redispatch]), dump(data)))
        resumed, result = _require_run(run_id, reply)
        if resumed:
            return replies.ready_tasks(result)
        is_now = f"is {result.decode()}" if result else "is not there"
        raise NotSuspended(f"run {run_id!r} has nothing to resume at {address!r}: it {is_now}")

    async def send_event(self, run_id: str, name: str, payload: Json) -> Ready:
        """Hand an event to a waiting task, or keep it. See `Store.send_event`."""
        reply = await self._run_on_run(scripts.SEND_EVENT, run_id, (dump([name, self.redispatch]), dump(payload)))
        sent, result = _require_run(run_id, reply)
        if sent:
            return replies.ready_tasks(result)
        raise RunFinished(f"run {run_id!r} is {result.decode()}: it takes no more events")

    async def cancel(self, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
        """End a run as cancelled. See `Store.cancel`."""
        error = {"type": RunCancelled.__name__, "message": reason or ""}
        end = Finish(RunStatus.CANCELLED, error=error)
        head = dump([callback, self.redispatch, self.options.retention])
        args = (head, dump_or_empty(end.error), arguments.end_event_data(end), CALLBACK_TASK)
        ended, *ready = _require_run(run_id, await self._run_on_run(scripts.CANCEL, run_id, args))
        return bool(ended), replies.ready_tasks(ready[0]) if ready else ()

    async def retry(self, run_id: str) -> Ready:
        """Start a failed run again. See `Store.retry`."""
        reply = await self._run_on_run(scripts.RETRY, run_id, (dump([self.redispatch]),))
        retried, result = _require_run(run_id, reply)
        if retried:
            return replies.ready_tasks(result)
        raise RunFinished(f"run {run_id!r} is {result.decode()}: only a failed run can be retried")

    async def emit(self, run_id: str, events: Sequence[NewEvent]) -> int:
        """Append events. See `Store.emit`."""
        reply = await self._run_on_run(scripts.EMIT, run_id, [arguments.event_tail(event) for event in events])
        (newest,) = _require_run(run_id, reply)
        return int(newest)

    # Reading

    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Return the outputs of COMPLETED tasks. See `Store.outputs`."""
        if not addresses:
            return {}
        routing_key = self.keys.script_keys(run_id)[0]
        key = self.keys.run_key(run_id, "values")
        fields = (f"o{address}" for address in addresses)
        return replies.outputs(addresses, await self._client.run_command(routing_key, "HMGET", key, *fields))

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Return the outputs of COMPLETED tasks and block the calling thread. See `Store.outputs_now`."""
        if not addresses:
            return {}
        key = self.keys.run_key(run_id, "values")
        fields = (f"o{address}" for address in addresses)
        return replies.outputs(addresses, self._client.blocking.run_command("HMGET", key, *fields))

    async def load(self, run_id: str) -> RunRecord | None:
        """Return a run. See `Store.load`."""
        reply = await self._run_on_run(scripts.LOAD, run_id, (), idempotent=True)
        return replies.run(reply) if reply else None

    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        """Return the tasks of a run. See `Store.tasks`."""
        wanted = [] if statuses is None else list(statuses)
        if statuses is not None and not wanted:
            return []
        reply = await self._run_on_run(scripts.TASKS, run_id, (dump(wanted),), idempotent=True)
        return replies.all_tasks(run_id, reply)

    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        """Return runs, newest first. See `Store.runs`."""
        found: list[RunRecord] = []
        for shard in range(self.options.shards):
            # By id: a run that is created between two pages moves the older ones to the next page, once more.
            of_shard: dict[str, RunRecord] = {}
            offset = 0
            while offset >= 0 and len(of_shard) < limit:
                page = max(limit, MIN_PAGE) if metadata else limit - len(of_shard)
                head = dump([offset, page, workflow_id or False, status or False])
                offset, *runs = await self._run_on_shard(scripts.RUNS, shard, (head,), idempotent=True)
                for record in map(replies.run, runs):
                    if not metadata or carries(record.metadata, metadata):
                        of_shard.setdefault(record.id, record)
            found += of_shard.values()
        found.sort(key=lambda record: record.created_at, reverse=True)
        return found[:limit]

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        """Return events in order. See `Store.events`."""
        if limit <= 0:
            return []
        routing_key = self.keys.script_keys(run_id)[0]
        key = self.keys.run_key(run_id, "events")
        texts = await self._client.run_command(routing_key, "LRANGE", key, after, after + limit - 1)
        return [replies.event(seq, raw) for seq, raw in enumerate(texts, after + 1)]

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        """Wait for events, or for the run to be at rest. See `Store.wait`."""
        newest = 0

        async def is_done() -> bool:
            nonlocal newest
            newest, at_rest = await self._run_on_run(scripts.REST, run_id, (), idempotent=True)
            return not newest or bool(at_rest if settled else newest > after)

        await self._client.wait(self.keys.run_key(run_id, "rest" if settled else "events"), timeout, is_done)
        return newest

    async def purge(self, older_than: float) -> int:
        """Delete runs that ended long ago. See `Store.purge`."""
        deleted = 0
        for shard in range(self.options.shards):
            more = True
            while more:
                count, more = await self._run_on_shard(scripts.PURGE, shard, (dump([older_than]),))
                deleted += count
        return deleted


def _leases(head: list[Any], leases: Sequence[tuple[str, str, int]]) -> list[Arg]:
    """Return the arguments of a script on leases: the head with their attempts, and their members of the indexes."""
    return [
        dump([*head, *(attempt for _, _, attempt in leases)]),
        *(pack_pair(run_id, address) for run_id, address, _ in leases),
    ]


def _require_run(run_id: str, reply: list[Any]) -> list[Any]:
    """Return the reply of a script on a run. The reply is empty when the store has no such run.

    Raises:
        RunNotFound: The store has no such run.
    """
    if not reply:
        raise no_such_run(run_id)
    return reply
