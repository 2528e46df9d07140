"""The settings there are, as pydantic models: the core's own, and the base of every engine's."""

from __future__ import annotations

import json
import re
import types
from datetime import timedelta
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, model_validator

from drawbar.errors import PluginError
from drawbar.settings.masking import MASK, mask_url

DEFAULT_ENGINE = "local"
"""Engine to use when none is configured."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """`timedelta(minutes=5)`, `"5m"` and `300` are the same."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|[smhd])\s*", value)
        if match:
            return float(match[1]) * _UNITS[match[2]]
    return value


def _names(value: Any) -> Any:
    """`"a, b"` and `["a", "b"]` are the same."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]
"""Seconds as a number; a timedelta, or text such as `250ms`, `30s`, `5m`, `2h`, `7d`, is taken too."""
PositiveSeconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """The settings of the core, the same whichever engine is selected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str | None = Field(
        None, min_length=1, description="Name of the engine. Default: `local`, if it is installed."
    )
    store: str | None = Field(
        None,
        description="URL: memory://, sqlite:///runs.db, redis://host:6379/0, postgresql://host/db. "
        "Default: memory:// for an engine in this process; others need one that their workers share.",
    )
    workflows: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        (),
        description="Modules or files that workers load workflows from; nothing else is imported.",
    )
    fan_out: int = Field(
        100, ge=1, description="Tasks of one fan-out in flight at most, unless it sets `concurrency`."
    )
    max_value_size: ByteSize = Field(
        ByteSize(4 * 1024 * 1024),
        gt=0,
        description="Size limit of a value between steps, as JSON (`4MiB`).",
    )
    max_lost: int = Field(
        3, ge=1, description="Deaths of workers that a task survives; then it fails, WorkerLost."
    )
    lease: PositiveSeconds = Field(30.0, description="How long a worker holds a task without a sign of life.")
    heartbeat: Seconds = Field(
        0.0, description="How often a worker renews its leases; 0: a tenth of the lease."
    )
    redispatch: PositiveSeconds = Field(
        60.0, description="After how long a task that nobody took up is sent again."
    )
    message_budget: Seconds = Field(
        30.0,
        description="How long a worker goes on with a run's next steps within one message. "
        "Keep it under a quarter of the broker's visibility timeout.",
    )
    poll_interval: PositiveSeconds = Field(
        1.0, description="How often a store that cannot notify is asked for news."
    )
    retention: PositiveSeconds | None = Field(
        None, description="After how long the records of an ended run are deleted (`7d`). Default: never."
    )
    connect_timeout: PositiveSeconds = Field(5.0, description="How long to try to reach a broker or a store.")
    shutdown_timeout: Seconds = Field(
        30.0, description="How long a stopping worker waits for the steps it runs."
    )

    @model_validator(mode="after")
    def _beats_in_time(self) -> Settings:
        if self.heartbeat == 0:
            # Frozen for everybody else; 0 stands for a value that is known only now.
            object.__setattr__(self, "heartbeat", min(self.lease / 10, 1.0))
        elif self.heartbeat > self.lease / 2:
            raise ValueError(
                f"heartbeat = {self.heartbeat:g} is more than half of lease = {self.lease:g}: "
                "one late beat would lose the task"
            )
        return self


class EngineSettings(BaseModel):
    """Base of an engine's `Settings`: every field is described, unknown ones are refused, frozen.

    Use `SecretStr` for what must not be shown. A field cannot have the name of a core setting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Checks the class itself, so that its author hears of it and not its users."""
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


def is_secret(annotation: Any) -> bool:
    """Whether values of that type must not be shown."""
    return "Secret" in repr(annotation)


def type_name(annotation: Any) -> str:
    """A type as it is written, without modules: `int`, `str | None`, `tuple[str, ...]`."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    if get_origin(annotation) is Annotated:
        return type_name(get_args(annotation)[0])
    parts = [type_name(part) if part is not Ellipsis else "..." for part in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join("None" if part == "NoneType" else part for part in parts)
    origin = getattr(get_origin(annotation), "__name__", "")
    if origin and parts:
        return f"{origin}[{', '.join(parts)}]"
    return str(annotation).replace("typing.", "")


def shown(value: Any, *, secret: bool = False) -> str:
    """A value for people, in a line: secrets, and passwords in URLs, masked."""
    if value is None:
        return "none"
    if secret or is_secret(type(value)):
        return MASK * 2
    if isinstance(value, ByteSize):
        return value.human_readable()
    if isinstance(value, str):
        text = mask_url(value)
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list | tuple | set | frozenset):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 200 else text[:197] + "..."
