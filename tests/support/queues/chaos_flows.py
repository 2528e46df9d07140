"""Graphs of every kind, for runs whose workers are killed. Each start of a step leaves a line in its run's file."""

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from pydantic import BaseModel

from drawbar import Context, FatalError, Retry, step, workflow


class Work(BaseModel):
    """What travels through these workflows."""

    folder: Path
    n: int
    path: list[str] = []
    """A token of every attempt whose outcome was taken over so far."""


def begin(work: Work, ctx: Context) -> Work:
    """Note that an attempt starts, and with what; return what it puts out if its outcome counts."""
    token = uuid4().hex[:12]
    line = " ".join((ctx.address, str(ctx.attempt), str(os.getpid()), token, ",".join(work.path) or "-")) + "\n"
    with (work.folder / ctx.run_id).open("a", encoding="utf-8") as file:
        file.write(line)
    return work.model_copy(update={"path": [*work.path, token]})


def seconds(work: Work) -> float:
    """How long a step takes: from 0 to 60 ms."""
    return work.n % 7 / 100


@step
def thread(work: Work, ctx: Context) -> Work:
    done = begin(work, ctx)
    time.sleep(seconds(work))
    return done


@step
async def loop(work: Work, ctx: Context) -> Work:
    done = begin(work, ctx)
    await anyio.sleep(seconds(work))
    return done


@step(retry=Retry(max_attempts=10, delay=0.1))
async def shaky(work: Work, ctx: Context) -> Work:
    done = begin(work, ctx)
    if ctx.attempt % 2:
        raise ConnectionError("every other attempt fails")
    return done


@step
def fatal(work: Work, ctx: Context) -> Work:
    begin(work, ctx)
    raise FatalError(f"run {work.n} is to fail")


@step
def spread(work: Work, ctx: Context) -> list[Work]:
    done = begin(work, ctx)
    return [done.model_copy(update={"n": n}) for n in range(5)]


@step
def gather(works: list[Work], ctx: Context) -> Work:
    return begin(works[0], ctx)


def of(name: str) -> Any:
    """The beginning of a workflow."""
    return workflow(name, input=Work, output=Work)


def named(name: str) -> list[Any]:
    """Four steps in a row."""
    return [thread.with_id(f"{name}1"), loop.with_id(f"{name}2"), thread.with_id(f"{name}3"), loop.with_id(f"{name}4")]


def row(builder: Any, name: str) -> Any:
    """Four more steps."""
    for one in named(name):
        builder = builder.then(one)
    return builder


spread_out = of("spread-out").then(spread).foreach(thread).then(gather).commit()
chains = row(of("chains"), "a").commit()
sleeps = row(row(of("sleeps"), "a").sleep(0.7), "b").commit()
waits = row(of("waits"), "a").wait_for("go", type=Work).then(loop).commit()
shakes = of("shakes").then(thread).then(shaky).then(loop).commit()
fails = of("fails").then(thread).then(fatal).then(loop).commit()
circles = of("circles").then(thread).do_until(loop, lambda work: len(work.path) >= 5).commit()
forks = (
    of("forks")
    .then(thread)
    .choose((lambda work: work.n % 2 == 0, loop), otherwise=thread.with_id("odd"))
    .parallel(left=chains, right=spread_out)
    .map(lambda done: done["left"])
    .then(thread.with_id("end"))
    .commit()
)

KINDS = [spread_out, chains, sleeps, waits, shakes, fails, circles, forks]
TASKS = {"spread-out": 7, "chains": 4, "sleeps": 8, "waits": 5, "shakes": 3, "fails": 2, "circles": 5, "forks": 14}
"""How many tasks of steps a run of each kind has."""
