"""Shrink a folder of photographs in processes of their own and put them on a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from imaging import Photo, Sheet, Thumb, contact_sheet, list_photos, resize
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drawbar import Context, run_input, step, value_at, workflow

FromHere = Annotated[Path, AfterValidator(Path.absolute)]
"""A path, from where the run is started: a worker on a queue may have been started in another folder."""


class Album(BaseModel):
    """Where the photographs are, where the results go, and how large the thumbnails are."""

    model_config = ConfigDict(validate_default=True)

    folder: FromHere
    out: FromHere = Path("out")
    size: int = Field(default=320, ge=64, le=1024)


@step
def set_aside(photo: Photo, ctx: Context) -> Thumb:
    """Stand in for a photograph that could not be read, so that one broken file does not stop the others."""
    return Thumb(photo.source.name, error=str(ctx.error))


photos = (
    workflow("photos", input=Album, output=Sheet)
    .then(list_photos)
    .foreach(step(resize, run_in="process", fallback=set_aside), concurrency=4)
    .map({"thumbs": value_at(), "out": run_input("out"), "size": run_input("size")})
    .then(contact_sheet)
    .commit()
)
