"""Plain functions on photographs. This module does not import Drawbar."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
COLUMNS, MARGIN, CAPTION = 4, 16, 40
PAPER, INK, GREY, ALARM = "#f7f5f0", "#222222", "#77726a", "#b3261e"


@dataclass
class Photo:
    """A photograph to resize: its file, the file of its thumbnail, and the thumbnail's longest side in pixels."""

    source: Path
    thumb: Path
    size: int


@dataclass
class Thumb:
    """The result for one photograph: a thumbnail at `path`, or the reason for a failure in `error`."""

    name: str
    path: Path | None = None
    width: int = 0
    height: int = 0
    error: str | None = None


@dataclass
class Sheet:
    """A contact sheet, the names of its photographs, and the names and errors of broken files."""

    path: Path
    photos: list[str]
    broken: dict[str, str]


def list_photos(folder: Path, out: Path, size: int) -> list[Photo]:
    """List the photographs of a folder, by name.

    Raises:
        FileNotFoundError: The folder has no photographs, or does not exist.
    """
    count("list")
    sources = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not sources:
        raise FileNotFoundError(f"no photographs in {folder}")
    return [Photo(source, out / "thumbs" / f"{source.stem}.jpg", size) for source in sources]


def resize(photo: Photo) -> Thumb:
    """Write the thumbnail of one photograph."""
    count(f"resize {photo.source.name}")
    with Image.open(photo.source) as original:
        width, height = original.size
        upright = ImageOps.exif_transpose(original).convert("RGB")
    upright.thumbnail((photo.size, photo.size), Image.Resampling.LANCZOS)
    save(upright, photo.thumb)
    return Thumb(photo.source.name, photo.thumb, width, height)


def contact_sheet(thumbs: list[Thumb], out: Path, size: int) -> Sheet:
    """Draw all thumbnails with their names on one PNG. A photograph that cannot be read gets a red cell."""
    count("sheet")
    columns = min(COLUMNS, len(thumbs))
    rows = -(-len(thumbs) // columns)
    step_x, step_y = size + MARGIN, size + CAPTION + MARGIN
    sheet = Image.new("RGB", (MARGIN + columns * step_x, MARGIN + rows * step_y), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, thumb in enumerate(thumbs):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * step_x, MARGIN + row * step_y
        if thumb.path is None:
            _draw_broken(draw, thumb, left, top, size)
        else:
            with Image.open(thumb.path) as image:
                sheet.paste(image, (left + (size - image.width) // 2, top + (size - image.height) // 2))
        details = "could not be read" if thumb.path is None else f"{thumb.width} x {thumb.height}"
        draw.text((left, top + size + 4), thumb.name, INK, ImageFont.load_default(15))
        draw.text((left, top + size + 22), details, GREY if thumb.path else ALARM, ImageFont.load_default(12))
    path = out / "contact-sheet.png"
    save(sheet, path)
    broken = {thumb.name: thumb.error or "unknown" for thumb in thumbs if thumb.path is None}
    return Sheet(path, [thumb.name for thumb in thumbs if thumb.path], broken)


def _draw_broken(draw: ImageDraw.ImageDraw, thumb: Thumb, left: int, top: int, size: int) -> None:
    inset = size // 8
    box = (left, top + inset, left + size - 1, top + size - inset - 1)
    draw.rectangle(box, "#fbe9e7", ALARM, 2)
    draw.line((box[0], box[1], box[2], box[3]), "#f2c4bf", 2)
    draw.line((box[0], box[3], box[2], box[1]), "#f2c4bf", 2)
    font = ImageFont.load_default(max(10, size // 22))
    lines = _wrapped(thumb.error or "unknown", font, size - 24)
    draw.multiline_text((left + size / 2, top + size / 2), lines, ALARM, font, "mm", align="center")


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines[:6]).strip()


def save(image: Image.Image, path: Path) -> None:
    """Write a picture under a temporary name, then rename it, so that a crash never leaves half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    image.save(unfinished, quality=88)
    unfinished.replace(path)


def count(what: str) -> None:
    """Log the start of a step to the file DRAWBAR_EXAMPLE_COUNTER, then wait DRAWBAR_EXAMPLE_PAUSE seconds.

    This only demonstrates crash recovery: the file shows which steps ran, and the pause leaves time for a kill.
    """
    if counter := os.environ.get("DRAWBAR_EXAMPLE_COUNTER"):
        with Path(counter).open("a", encoding="utf-8") as lines:
            lines.write(f"{what}\n")
    time.sleep(float(os.environ.get("DRAWBAR_EXAMPLE_PAUSE", "0")))
