"""The dispatcher: one thread calls a plain `dispatch`, in batches, and its errors reach the sender."""

import threading
from collections.abc import Sequence

import anyio
import anyio.to_thread
import pytest

from drawbar.engine import Engine, Message
from drawbar.settings import load_settings
from drawbar.worker.dispatcher import Dispatcher

pytestmark = pytest.mark.anyio


def message(number: int) -> Message:
    return Message("run", f"step[{number}]", "flow", "fingerprint")


class Slow(Engine):
    """An engine whose first call of `dispatch` blocks until it may continue."""

    name = "local"

    def __init__(self) -> None:
        super().__init__(load_settings("local"))
        self.calls: list[list[str]] = []
        self.threads: set[int] = set()
        self.entered, self.may_continue = threading.Event(), threading.Event()
        self.refuses = False

    def dispatch(self, messages: Sequence[Message]) -> None:
        """See Engine."""
        self.threads.add(threading.get_ident())
        self.calls.append([message.address for message in messages])
        if len(self.calls) == 1:
            self.entered.set()
            assert self.may_continue.wait(10)
        if self.refuses:
            raise ConnectionError("the broker is down")

    def run_worker(self) -> None:
        """See Engine."""


class Picky(Slow):
    """An engine that refuses some messages and takes the others."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.taken: list[str] = []

    def dispatch(self, messages: Sequence[Message]) -> None:
        """See Engine."""
        for each in messages:
            if each.address in self.refused:
                raise ConnectionError("refused")
            self.taken.append(each.address)


async def test_messages_that_come_in_during_a_call_go_out_in_one_call() -> None:
    engine = Slow()
    dispatcher = Dispatcher(engine)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.send, [message(0)])
        await anyio.to_thread.run_sync(engine.entered.wait, 10)
        for number in range(1, 6):
            group.start_soon(dispatcher.send, [message(number)])
        await anyio.wait_all_tasks_blocked()
        engine.may_continue.set()
    assert engine.calls[0] == ["step[0]"]
    assert sorted(engine.calls[1]) == [f"step[{number}]" for number in range(1, 6)]
    assert len(engine.calls) == 2
    dispatcher.close()


async def test_all_calls_are_made_in_one_thread_that_is_not_the_event_loops() -> None:
    engine = Slow()
    engine.may_continue.set()
    dispatcher = Dispatcher(engine)
    for number in range(5):
        await dispatcher.send([message(number)])
    assert len(engine.threads) == 1
    assert threading.get_ident() not in engine.threads
    dispatcher.close()


async def test_an_error_of_the_engine_reaches_the_sender() -> None:
    engine = Slow()
    engine.may_continue.set()
    engine.refuses = True
    dispatcher = Dispatcher(engine)
    with pytest.raises(ConnectionError, match="the broker is down"):
        await dispatcher.send([message(1)])
    dispatcher.close()


async def test_closing_ends_the_thread_and_sending_starts_a_new_one() -> None:
    engine = Slow()
    engine.may_continue.set()
    dispatcher = Dispatcher(engine)
    await dispatcher.send([message(0)])
    (thread,) = [each for each in threading.enumerate() if each.ident in engine.threads]

    dispatcher.close()
    await anyio.to_thread.run_sync(thread.join, 10)

    assert not thread.is_alive()
    await dispatcher.send([message(1)])
    assert engine.calls[-1] == ["step[1]"]
    dispatcher.close()


async def test_refused_messages_are_sent_when_the_broker_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawbar.worker.dispatcher.PAUSE", 0.02)
    engine = Slow()
    engine.may_continue.set()
    engine.refuses = True
    dispatcher = Dispatcher(engine)
    for number in range(2):
        with pytest.raises(ConnectionError):
            await dispatcher.send([message(number)])
    engine.refuses = False

    with anyio.fail_after(10):
        while engine.calls[-2:] not in ([["step[0]"], ["step[1]"]], [["step[1]"], ["step[0]"]]):  # noqa: ASYNC110
            await anyio.sleep(0.01)
    dispatcher.close()


async def test_a_message_that_is_always_refused_does_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawbar.worker.dispatcher.PAUSE", 0.02)
    engine = Picky()
    engine.refused = {"step[0]", "step[1]"}
    dispatcher = Dispatcher(engine)
    for number in (0, 1):
        with pytest.raises(ConnectionError):
            await dispatcher.send([message(number)])
    engine.refused = {"step[0]"}

    await dispatcher.send([message(2)])

    with anyio.fail_after(10):
        while "step[1]" not in engine.taken:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert "step[0]" not in engine.taken
    dispatcher.close()
