"""Warnings of one kind: one a minute, and none is lost."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.worker.message_log import INTERVAL, MOST_KINDS, MessageLog


class Recorded(logging.Logger):
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        super().__init__("recorded")
        self.lines: list[str] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log() -> Recorded:
    return Recorded()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def messages(log: Recorded, clock: Clock) -> MessageLog:
    return MessageLog(log, clock)


def test_the_first_of_a_kind_is_logged_at_once(messages: MessageLog, log: Recorded) -> None:
    messages.report("a", "first")
    messages.report("b", "another kind")

    assert log.lines == ["first", "another kind"]


def test_further_ones_are_counted_and_logged_after_a_minute(messages: MessageLog, log: Recorded, clock: Clock) -> None:
    for number in range(5):
        messages.report("a", f"number {number}")
    clock.now += INTERVAL
    messages.report("a", "later")

    assert log.lines == ["number 0", "later (and 4 more like this)"]


def test_a_count_is_logged_without_another_one(messages: MessageLog, log: Recorded, clock: Clock) -> None:
    messages.report("a", "first")
    messages.report("a", "second")
    messages.flush()
    assert log.lines == ["first"]

    clock.now += INTERVAL
    messages.flush()

    assert log.lines == ["first", "second"]


def test_kinds_that_come_from_outside_do_not_fill_memory_or_log(messages: MessageLog, log: Recorded) -> None:
    for number in range(10_000):
        messages.report(f"unknown {number}", f"unknown {number}")

    assert len(log.lines) == MOST_KINDS + 1


@given(st.lists(st.one_of(st.sampled_from("abc"), st.floats(0, 100)), max_size=60))
def test_every_warning_is_logged_or_counted(steps: list[str | float]) -> None:
    log, clock = Recorded(), Clock()
    messages = MessageLog(log, clock)
    for step in steps:
        if isinstance(step, str):
            messages.report(step, step)
        else:
            clock.now += step
            messages.flush()
    messages.flush(all_kinds=True)

    counts = [int(line.split("and ")[1].split()[0]) if "(and" in line else 0 for line in log.lines]
    assert len(log.lines) + sum(counts) == sum(isinstance(step, str) for step in steps)
