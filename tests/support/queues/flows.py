"""Workflows for tests on real workers. Every step leaves a line in a file, so that a test sees what ran where."""

import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import anyio
from pydantic import BaseModel

from drawbar import Context, Retry, step, workflow


class Job(BaseModel):
    """What travels through these workflows."""

    folder: Path
    """Where the witnesses are."""
    seconds: float = 0.0
    """How long slow steps take."""
    n: int = 0


def note(job: Job, ctx: Context, *more: Any) -> None:
    """Append a line to the job's file `ADDRESS`; one write, so that processes do not mix theirs."""
    line = " ".join(map(str, (ctx.attempt, os.getpid(), *more))) + "\n"
    with (job.folder / ctx.address).open("a", encoding="utf-8") as file:
        file.write(line)


@step
def first(job: Job, ctx: Context) -> Job:
    note(job, ctx)
    return job


@step
def slow(job: Job, ctx: Context) -> Job:
    note(job, ctx)
    time.sleep(job.seconds)
    return job


@step(id="slow-async")
async def slow_async(job: Job, ctx: Context) -> Job:
    note(job, ctx)
    await anyio.sleep(job.seconds)
    return job


@step
def last(job: Job, ctx: Context) -> int:
    note(job, ctx)
    return job.n


line = workflow("line", input=Job, output=int).then(first).then(slow).then(slow_async).then(last).commit()
hold = workflow("hold", input=Job, output=int).then(first).then(slow).then(last).commit()
quick = workflow("quick", input=Job, output=int).then(first).then(last).commit()
nap = workflow("nap", input=Job, output=int).then(first).sleep(2).then(last).commit()


@step
def heard(word: str, ctx: Context) -> str:
    return f"{word}, {ctx.engine}"


bell = workflow("bell", input=Job, output=str).then(first).wait_for("bell", type=str).then(heard).commit()


@step
def deadly(job: Job, ctx: Context) -> Job:
    note(job, ctx)
    os.kill(os.getpid(), signal.SIGKILL)
    return job


killer = workflow("killer", input=Job, output=int).then(deadly).then(last).commit()


@step(queue="gpu")
def on_gpu(job: Job, ctx: Context) -> Job:
    note(job, ctx)
    return job


queues = (
    workflow("queues", input=Job, output=int)
    .then(first)
    .then(on_gpu)
    .then(on_gpu.with_id("again"))
    .then(last)
    .commit()
)


@step
def count(job: Job) -> list[Job]:
    return [job.model_copy(update={"n": n}) for n in range(job.n)]


@step(retry=Retry(max_attempts=3, delay=0.05))
def square(job: Job, ctx: Context) -> int:
    note(job, ctx, threading.current_thread().name)
    if job.n == 3 and ctx.attempt == 1:
        raise ConnectionError("the first attempt of 3 fails")
    time.sleep(job.seconds)
    return job.n**2


@step
async def cube(job: Job, ctx: Context) -> int:
    note(job, ctx)
    await anyio.sleep(job.seconds)
    return int(job.n**3)


@step
def add(done: dict[str, list[int]]) -> int:
    return sum(map(sum, done.values()))


def each(name: str, of: Any) -> Any:
    """A nested workflow: `of` for each job of a list."""
    return workflow(name, input=list[Job], output=list[int]).foreach(of).commit()


mixed = (
    workflow("mixed", input=Job, output=int)
    .then(count)
    .parallel(each("squares", square), each("cubes", cube))
    .then(add)
    .commit()
)

def power(job: Job) -> int:
    return int(job.n**job.n)


@step(run_in="process")
def in_a_process(job: Job) -> int:
    return power(job)


@step
def in_a_pool(job: Job) -> int:
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(power, job).result()


apart = workflow("apart", input=Job, output=int).then(in_a_process).commit()
pooled = workflow("pooled", input=Job, output=int).then(in_a_pool).commit()

if os.environ.get("NEW_VERSION"):  # a worker of the next release
    versioned = workflow("versioned", input=Job, output=int).then(first).then(slow).then(last).commit()
else:
    versioned = workflow("versioned", input=Job, output=int).then(first).then(last).commit()
