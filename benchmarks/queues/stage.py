"""What one measurement stands on: a broker and a store that nobody else uses, and real workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pika
import redis

from benchmarks.turn import ROOT
from benchmarks.work import Row

RunAll = Callable[[Row, list[Any]], Awaitable[list[Any]]]
"""Starts a run for each value, all of them before the first is waited for, and gives their answers."""


@dataclass(frozen=True)
class Stage:
    """The addresses, handed to every process in its environment."""

    broker: str
    store: str
    queue: str

    @property
    def environment(self) -> dict[str, str]:
        return {"BENCH_BROKER": self.broker, "BENCH_STORE": self.store, "BENCH_QUEUE": self.queue}

    @classmethod
    def of_this_process(cls) -> Self:
        return cls(os.environ["BENCH_BROKER"], os.environ["BENCH_STORE"], os.environ["BENCH_QUEUE"])


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis of our own, so that what it counts is ours alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "", "appendonly": "no"}
    command = ["redis-server", *[word for name, value in options.items() for word in (f"--{name}", value)]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            for _ in range(100):
                with suppress(redis.ConnectionError):
                    client.ping()
                    break
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def rabbitmq_queue(url: str, name: str) -> Iterator[None]:
    """Delete the queue afterwards, and those that Dramatiq puts beside it."""
    try:
        yield
    finally:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            for suffix in ("", ".DQ", ".XQ"):
                channel.queue_delete(name + suffix)


@contextmanager
def stage(broker: str | None) -> Iterator[Stage]:
    """Two Redis servers, for the messages and for what is kept; the first left out if ``broker`` is given."""
    with tempfile.TemporaryDirectory(prefix="drawbar-bench-") as name:
        folder = Path(name)
        with redis_server(folder) as store:
            queue = f"drawbar-bench-{os.getpid()}"
            if broker is not None:
                with rabbitmq_queue(broker, queue):
                    yield Stage(broker, store, queue)
            else:
                with redis_server(folder) as private:
                    yield Stage(private, store, queue)


@contextmanager
def workers(command: list[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Run one worker command; what it logs goes to stderr when it does not live to the end."""
    if not command:
        yield
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            died = process.poll()
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            if died is not None:
                log.seek(0)
                print(
                    f"{' '.join(command)} ended with {died}:", log.read()[-4000:], sep="\n", file=sys.stderr
                )


@dataclass(frozen=True)
class Traffic:
    """What a Redis server has counted so far."""

    reads: int
    """Times it found something to read on a connection: a pipeline of many commands is one."""
    pushes: int
    """Messages put on a list."""
    octets: int

    @classmethod
    def of(cls, url: str) -> Self:
        with redis.Redis.from_url(url) as client:
            stats, commands = client.info("stats"), client.info("commandstats")
        pushes = sum(commands.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("lpush", "rpush"))
        octets = stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
        return cls(stats["total_reads_processed"], pushes, octets)

    def since(self, before: Traffic) -> Traffic:
        return Traffic(self.reads - before.reads, self.pushes - before.pushes, self.octets - before.octets)
