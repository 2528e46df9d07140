"""The names of the store's keys, and the shard of each run.

All keys of a run, and the indexes that its operations change, carry the hash tag of the run's shard (see "Hash tags" in
the Redis cluster specification). So a cluster keeps them on one node, and each operation stays one atomic script. A
single server needs only one shard.
"""

from __future__ import annotations

from zlib import crc32


class Keys:
    """The names of one store's keys.

    Args:
        prefix: The start of all keys.
        shards: The number of hash tags that runs are spread over.

    Attributes:
        schema: The key that holds the version of the layout.
        shard_prefixes: The start of the keys of each shard.
        due_indexes: The due index of each shard.
    """

    def __init__(self, prefix: str, shards: int) -> None:
        self.schema = f"{prefix}:schema"
        self.shard_prefixes = tuple(f"{prefix}:{{{prefix}-{number}}}:" for number in range(shards))
        self.due_indexes = tuple(f"{shard_prefix}due" for shard_prefix in self.shard_prefixes)

    def shard_of(self, run_id: str) -> int:
        """Return the number of a run's shard. It is the same in every process."""
        if len(self.shard_prefixes) == 1:
            return 0
        return crc32(run_id.encode("utf-8", "surrogatepass")) % len(self.shard_prefixes)

    def script_keys(self, run_id: str) -> tuple[str, str]:
        """Return the KEYS for a script on one run: the due index of its shard, and the run."""
        shard = self.shard_of(run_id)
        return self.due_indexes[shard], f"{self.shard_prefixes[shard]}run:{run_id}"

    def run_key(self, run_id: str, kind: str) -> str:
        """Return another key of a run.

        Args:
            run_id: The run.
            kind: The key's first word, such as `events`.
        """
        return f"{self.shard_prefixes[self.shard_of(run_id)]}{kind}:{run_id}"


def pack_pair(first: str, second: str) -> str:
    """Join two strings into one member of an index. Both may hold any character.

    Twin of `pack_pair` in lib.lua.
    """
    return f"{len(first.encode('utf-8', 'surrogatepass'))}:{first}{second}"
