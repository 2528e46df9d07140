"""Settings as pydantic models: those of the core, and the base class of every engine's."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, model_validator

from drawbar.errors import PluginError

DEFAULT_ENGINE = "local"
"""Engine to use when none is configured."""

LONGEST = 100 * 366 * 86_400
"""Longest duration of a setting, in seconds: a hundred years."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """Convert a timedelta, and a text such as `5m`, to seconds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|[smhd])\s*", value)
        if match:
            return float(match[1]) * _UNITS[match[2]]
    return value


def _names(value: Any) -> Any:
    """Convert `a, b`, and a list in JSON, to a list of names."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=LONGEST, allow_inf_nan=False)]
"""Type of a duration in seconds. A timedelta, or a text such as `250ms`, `30s`, `5m`, `2h`, `7d`, is taken too."""
PositiveSeconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=LONGEST, allow_inf_nan=False)]
"""Type of a duration in seconds that is not 0."""


class Settings(BaseModel):
    """The settings of the core. They do not depend on the engine that is selected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str | None = Field(
        None, min_length=1, description="Name of the engine. Default: `local`, which has to be installed."
    )
    store: str | None = Field(
        None,
        description="URL of the store: memory://, sqlite:///runs.db, redis://host:6379/0 or postgresql://host/db. "
        "Default: memory:// for an in-process engine. Other engines need a store that their workers share.",
    )
    workflows: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        (),
        description="Modules or files that a worker imports to find workflows. It imports no others. Default: none.",
    )
    fan_out: int = Field(
        100,
        ge=1,
        description="Largest number of tasks of one fan-out that are in progress at the same time. "
        "A fan-out with `concurrency` has its own limit. Default: 100.",
    )
    max_value_size: ByteSize = Field(
        ByteSize(4 * 1024 * 1024),
        gt=0,
        description="Largest size of a value between steps, in bytes of JSON (or text such as `4MiB`). Default: 4 MiB.",
    )
    max_value_depth: int = Field(
        128,
        ge=1,
        le=180,
        description="Largest number of lists and mappings inside each other in a value between steps. Default: 128.",
    )
    max_lost: int = Field(
        3,
        ge=1,
        description="Number of workers that may die while they run a task before the task fails with WorkerLost. "
        "Default: 3.",
    )
    lease: PositiveSeconds = Field(
        30.0, description="Seconds that a worker holds a task without renewing its lease. Default: 30."
    )
    heartbeat: Seconds = Field(
        0.0,
        description="Seconds between two renewals of a worker's leases, at most half of `lease`. "
        "Default (0): a tenth of `lease`, but not more than 1.",
    )
    redispatch: PositiveSeconds = Field(
        60.0,
        description="Seconds after which a task that no worker has claimed is dispatched again. "
        "Each repetition doubles the time, up to 32 times this value. Default: 60.",
    )
    message_budget: Seconds = Field(
        30.0,
        description="Seconds that a worker may spend on one message: it continues with the next steps of the run "
        "until then. Keep it below a quarter of the broker's visibility timeout. Default: 30.",
    )
    poll_interval: PositiveSeconds = Field(
        1.0,
        description="Seconds between two looks for due tasks in the store, while a worker expects none. Default: 1.",
    )
    retention: PositiveSeconds | None = Field(
        None,
        description="Seconds (or text such as `7d`) after which the records of an ended run are deleted. "
        "Default: never.",
    )
    connect_timeout: PositiveSeconds = Field(
        5.0, description="Seconds that connecting to a broker or a store may take. Default: 5."
    )
    shutdown_timeout: Seconds = Field(
        30.0, description="Seconds that a worker, once told to stop, waits for its steps to end. Default: 30."
    )

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Settings:
        if self.heartbeat == 0:
            # The model is frozen, but 0 stands for a value that depends on another field.
            object.__setattr__(self, "heartbeat", min(self.lease / 10, 1.0))
        elif self.heartbeat > self.lease / 2:
            raise ValueError(
                f"heartbeat = {self.heartbeat:g} is more than half of lease = {self.lease:g}: "
                "one late beat would lose the task"
            )
        return self


class EngineSettings(BaseModel):
    """Base class of an engine's `Settings`: frozen, without unknown fields, and every field has a description.

    Use `SecretStr` for a value that must not be shown. A field cannot have the name of a core setting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Check the class when it is written, so that its author sees the error and not its users.

        Raises:
            PluginError: A field has no description or the name of a core setting, or the class takes unknown fields.
        """
        super().__pydantic_init_subclass__(**kwargs)
        where = f"{cls.__module__}.{cls.__qualname__}"
        for name, field in cls.model_fields.items():
            if not (field.description or "").strip():
                raise PluginError(
                    f'{where}.{name} has no description. Write {name}: ... = Field(..., description="...")'
                )
            if name in Settings.model_fields or name == "engines":
                raise PluginError(
                    f"{where}.{name} has the name of a core setting, which would hide it. Rename it"
                )
        if cls.model_config.get("extra") != "forbid" or not cls.model_config.get("frozen"):
            raise PluginError(
                f'{where} must keep extra="forbid" and frozen=True, so that a misspelt key is an error'
            )
