"""What happens to a recording: text and sound at the same time, a file for each format, then it is put online."""

from __future__ import annotations

import time
from typing import Any

import anyio
from pydantic import BaseModel

from drawbar import Retry, step, workflow


class Recording(BaseModel):
    """What comes from the studio."""

    title: str
    minutes: int
    formats: list[str] = ["mp3", "opus"]


class Episode(BaseModel):
    """What listeners get."""

    title: str
    words: int
    files: list[str]


class EncoderBusyError(ConnectionError):
    """Another try may work."""


@step
def formats(recording: Recording) -> list[dict[str, Any]]:
    """One piece of work for each format."""
    return [{"title": recording.title, "format": each} for each in recording.formats]


@step(retry=Retry(max_attempts=5, delay=0.5, backoff=2, on=(EncoderBusyError,)))
def encode(title: str, format: str) -> str:  # noqa: A002 - the word for it
    """Make one file."""
    time.sleep(0.3)
    return f"{title}.{format}"


@step(timeout=30)
async def transcribe(recording: Recording) -> int:
    """Write down what was said; gives the number of words."""
    await anyio.sleep(0.1)
    return recording.minutes * 130


@step
def put_online(episode: Episode) -> Episode:
    """Tell the listeners."""
    print(f"{episode.title}: {episode.words} words in {len(episode.files)} files")
    return episode


files = workflow("files", input=Recording, output=list[str]).then(formats).foreach(encode).commit()

publish = (
    workflow("publish", input=Recording, output=Episode)
    .parallel(files=files, words=transcribe)
    .map(lambda done, ctx: {"title": ctx.run_input.title, **done})
    .then(put_online)
    .commit()
)
