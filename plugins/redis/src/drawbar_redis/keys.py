"""How keys are named, and which shard a run belongs to.

Everything of a run, and the indexes that its operations keep, carries the hash tag of the run's shard:
in a cluster it is all on one node, so every operation stays one atomic script. A single server needs only one
shard.
"""

from __future__ import annotations

from zlib import crc32


class Keys:
    """The keys of one store.

    Args:
        prefix: What all keys start with.
        shards: How many hash tags runs are spread over.
    """

    def __init__(self, prefix: str, shards: int) -> None:
        self.schema = f"{prefix}:schema"
        self.bases = tuple(f"{prefix}:{{{prefix}-{number}}}:" for number in range(shards))
        """What the keys of each shard start with."""
        self.dues = tuple(f"{base}due" for base in self.bases)

    def shard(self, run_id: str) -> int:
        """The shard of a run, the same in every process."""
        if len(self.bases) == 1:
            return 0
        return crc32(run_id.encode("utf-8", "surrogatepass")) % len(self.bases)

    def run(self, run_id: str) -> tuple[str, str]:
        """What the scripts of one run get as KEYS: the shard's due index, and the run."""
        shard = self.shard(run_id)
        return self.dues[shard], f"{self.bases[shard]}run:{run_id}"

    def of(self, run_id: str, kind: str) -> str:
        """Another key of a run."""
        return f"{self.bases[self.shard(run_id)]}{kind}:{run_id}"


def packed(run_id: str, address: str) -> str:
    """A task's name in an index, as `pack` in lib.lua makes it."""
    return f"{len(run_id.encode('utf-8', 'surrogatepass'))}:{run_id}{address}"
