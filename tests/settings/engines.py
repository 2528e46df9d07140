"""An engine with settings and nothing else."""

from collections.abc import Sequence

from pydantic import Field, SecretStr

from drawbar.engine import Engine
from drawbar.records import Message
from drawbar.settings import EngineSettings


class AcmeSettings(EngineSettings):
    broker_url: str = Field("acme://localhost", description="Where the broker is.")
    password: SecretStr | None = Field(None, description="For the broker.")
    threads: int = Field(1, ge=1, description="How many.")
    queues: list[str] = Field(default_factory=list, description="Which.")
    options: dict[str, int] = Field(default_factory=dict, description="For the broker's client.")
    grace: float | None = Field(None, description="Seconds.")


class Silent(Engine):
    name = "acme"

    def dispatch(self, messages: Sequence[Message]) -> None: ...

    def run_worker(self) -> None: ...


class Acme(Silent):
    Settings = AcmeSettings


class NeedyModel(EngineSettings):
    url: str = Field(description="Where the broker is.")


class Needy(Silent):
    Settings = NeedyModel


class InProcess(Silent):
    in_process = True
