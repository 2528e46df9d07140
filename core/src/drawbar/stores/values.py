"""Comparing values in JSON form, and copying records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.records import RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.records import Json


def same(one: Json, other: Json) -> bool:
    """Return True if two values are the same JSON. Unlike in Python, 1 and true differ.

    Args:
        one: A value in JSON form.
        other: The value to compare it with.
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def carries(metadata: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
    """Return True if metadata has at least the wanted keys, with the same values.

    Args:
        metadata: The metadata of a run.
        wanted: The keys to look for, with their values. An empty mapping fits every run.
    """
    return all(key in metadata and same(metadata[key], value) for key, value in wanted.items())


def copy_run(run: RunRecord) -> RunRecord:
    """Return a run with all its values in a new object. Its `state` is a copy too.

    Args:
        run: The run to copy.
    """
    return RunRecord(
        run.id, run.workflow_id, run.fingerprint, run.status, run.input, run.output, run.error, dict(run.state),
        run.metadata, run.forked_from, run.seq, run.active, run.timed, run.suspended, run.created_at, run.started_at,
        run.finished_at,
    )  # fmt: skip
