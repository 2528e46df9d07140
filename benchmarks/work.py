"""The work that is measured: every step of it adds one to a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Shape = Literal["chain", "durable_chain", "fan_out", "foreach", "group", "loop"]


@dataclass(frozen=True)
class Row:
    """One line of a benchmark.

    ``chain`` and ``durable_chain`` are ``size`` steps in sequence. ``fan_out`` gives one number to ``size``
    branches and sums what they return. ``foreach`` runs one step over ``size`` items, ``group`` does too and
    sums what comes back. ``loop`` runs one step until the number is ``size``.
    """

    name: str
    shape: Shape
    size: int
    runs: int = 1
    concurrency: int | None = None
    target: float | None = None
    """Microseconds a step that Drawbar may take."""
    alone: bool = False
    """Of Drawbar alone."""

    @property
    def steps(self) -> int:
        """How many steps one repetition takes, the joins not counted."""
        return self.size * self.runs

    @property
    def inputs(self) -> list[Any]:
        """The input of each run."""
        if self.shape in ("foreach", "group"):
            return [list(range(self.size))] * self.runs
        return list(range(self.runs))

    def answer(self, value: Any) -> Any:
        """What a run on ``value`` has to give."""
        match self.shape:
            case "chain" | "durable_chain":
                return value + self.size
            case "fan_out":
                return (value + 1) * self.size
            case "foreach":
                return [item + 1 for item in value]
            case "group":
                return sum(item + 1 for item in value)
            case "loop":
                return self.size

    @property
    def answers(self) -> list[Any]:
        """What the runs have to give, in the order of their inputs."""
        return [self.answer(value) for value in self.inputs]
