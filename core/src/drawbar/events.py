"""The events of a run, as its users see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.records import EventRecord, Json

TYPES = (
    "run.started", "task.scheduled", "task.started", "task.retrying", "task.suspended", "task.resumed",
    "task.completed", "task.failed", "task.cancelled", "task.emitted",
    "run.suspended", "run.completed", "run.failed", "run.cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes:
        seq: Its number in the run: 1, 2, 3 … without gaps.
        type: One of `TYPES`.
        run_id: The run.
        address: The task's address; None for events of the run as a whole.
        data: What belongs to the type: `attempt`, `error`, `delay`, `payload`, `data` (what a step emitted),
            `reason`.
        at: When, by the store's clock.
    """

    seq: int
    type: str
    run_id: str
    address: str | None
    data: Mapping[str, Json]
    at: datetime

    @classmethod
    def of(cls, run_id: str, record: EventRecord) -> Event:
        """The event that a store has kept."""
        at = datetime.fromtimestamp(record.at, UTC)
        return cls(record.seq, record.type, run_id, record.address, dict(record.data), at)

    def to_dict(self) -> dict[str, Json]:
        """Its JSON form."""
        return {
            "seq": self.seq,
            "type": self.type,
            "run_id": self.run_id,
            "address": self.address,
            "data": dict(self.data),
            "at": self.at.isoformat(),
        }
