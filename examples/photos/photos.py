"""Resize the photographs of a folder in a process pool, and draw them on a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from imaging import Photo, Sheet, Thumb, contact_sheet, list_photos, resize
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drawbar import Context, run_input, step, value_at, workflow

FromHere = Annotated[Path, AfterValidator(Path.absolute)]
"""A path, made absolute when the run is started: a worker may run in another folder."""


class Album(BaseModel):
    """The folder of the photographs, the folder of the results, and the size of the thumbnails in pixels."""

    model_config = ConfigDict(validate_default=True)

    folder: FromHere
    out: FromHere = Path("out")
    size: int = Field(default=320, ge=64, le=1024)


@step
def set_aside(photo: Photo, ctx: Context) -> Thumb:
    """Return a result without a thumbnail for a photograph that cannot be read, so that the others go on."""
    return Thumb(photo.source.name, error=str(ctx.error))


photos = (
    workflow("photos", input=Album, output=Sheet)
    .then(list_photos)
    .foreach(step(resize, run_in="process", fallback=set_aside), concurrency=4)
    .map({"thumbs": value_at(), "out": run_input("out"), "size": run_input("size")})
    .then(contact_sheet)
    .commit()
)
