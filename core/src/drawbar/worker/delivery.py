"""The part of an engine that dispatcher, host and startup use: a protocol, so that this room imports no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from drawbar.records import Message
    from drawbar.settings.load import LoadedSettings
    from drawbar.settings.models import EngineSettings
    from drawbar.settings.models import Settings as CoreSettings
    from drawbar.worker.registry import WorkflowRegistry


class Delivery(Protocol):
    """An engine, as the worker's side uses it. `drawbar.engine.Engine` satisfies it, and documents each member."""

    name: ClassVar[str]
    Settings: ClassVar[type[EngineSettings]]
    in_process: ClassVar[bool]
    runs_in_client: bool
    loaded: LoadedSettings
    core: CoreSettings
    workflows: WorkflowRegistry | None
    connection: Any
    owns_process: bool
    serves: bool

    @property
    def queues(self) -> tuple[str, ...]:
        """Queues that a worker of the engine serves."""

    @property
    def stop_requested(self) -> bool:
        """True once the worker was told to stop."""

    def dispatch(self, messages: Sequence[Message]) -> Awaitable[None] | None:
        """Send messages to workers."""

    def describe(self) -> str:
        """Return the place that messages go to, without secrets."""

    def check(self) -> Sequence[str]:
        """Return warnings about the configuration."""

    def request_stop(self) -> None:
        """Tell this process and those forked from it to stop."""


class InProcessDelivery(Delivery, Protocol):
    """An engine that works on messages in the event loop that it is opened in."""

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Queue messages for `serve`."""

    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Hand messages to `process` until cancelled."""
