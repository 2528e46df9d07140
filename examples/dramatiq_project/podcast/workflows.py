"""The workflow of a recording: encode it in each format, transcribe it at the same time, then put it online."""

from __future__ import annotations

import time
from typing import Any

import anyio
from pydantic import BaseModel

from drawbar import Retry, step, workflow


class Recording(BaseModel):
    """A recording from the studio."""

    title: str
    minutes: int
    formats: list[str] = ["mp3", "opus"]


class Episode(BaseModel):
    """A published episode."""

    title: str
    words: int
    files: list[str]


class EncoderBusyError(ConnectionError):
    """The encoder is busy. Another attempt may succeed."""


@step
def formats(recording: Recording) -> list[dict[str, Any]]:
    """Return the arguments of `encode` for each format."""
    return [{"title": recording.title, "format": each} for each in recording.formats]


@step(retry=Retry(max_attempts=5, delay=0.5, backoff=2, on=(EncoderBusyError,)))
def encode(title: str, format: str) -> str:  # noqa: A002 - the word for it
    """Encode the recording in one format and return the file's name."""
    time.sleep(0.3)
    return f"{title}.{format}"


@step(timeout=30)
async def transcribe(recording: Recording) -> int:
    """Transcribe the recording and return the number of words."""
    await anyio.sleep(0.1)
    return recording.minutes * 130


@step
def put_online(episode: Episode) -> Episode:
    """Publish the episode."""
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
