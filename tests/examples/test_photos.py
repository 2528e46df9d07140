"""The photos example: a folder of photographs becomes a contact sheet, even if some files are broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from photos import photos
from PIL import Image, ImageStat

from tests.examples.conftest import Command, in_process


@pytest.fixture
def originals(examples: Path) -> Path:
    return examples / "photos" / "originals"


def check_sheet(path: Path, size: int) -> None:
    """Look at the sheet: twelve cells, eleven with a picture in it, one reddish and nearly empty."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (16 + 4 * (size + 16), 16 + 3 * (size + 56))
        for place in range(12):
            row, column = divmod(place, 4)
            left, top = 16 + column * (size + 16), 16 + row * (size + 56)
            cell = image.crop((left, top, left + size, top + size))
            middle = ImageStat.Stat(cell.crop((size // 4, size // 4, size * 3 // 4, size * 3 // 4)))
            if place == 8:  # interrupted-upload.jpg
                assert middle.mean[0] > middle.mean[1] + 10
            else:
                assert sum(middle.stddev) > 20, f"cell {place} is blank"


def test_the_command_draws_the_sheet(
    examples: Path, originals: Path, command: Command, tmp_path: Path
) -> None:
    done = command(
        "run", f"{examples}/photos/photos.py:photos", "--json",
        "--input", f"folder={originals}", "--input", f"out={tmp_path / 'out'}", "--input", "size=200",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    check_sheet(tmp_path / "out" / "contact-sheet.png", 200)
    result = json.loads(done.stdout)
    assert result["status"] == "completed"
    assert list(result["output"]["broken"]) == ["interrupted-upload.jpg"]


@in_process
def test_a_broken_photograph_is_reported_and_the_others_are_drawn(originals: Path, tmp_path: Path) -> None:
    result = photos.run_sync(
        {"folder": originals, "out": tmp_path, "size": 200}, engine="local", store="memory://"
    )

    sheet = result.unwrap()
    assert len(sheet.photos) == 11
    assert "truncated" in sheet.broken["interrupted-upload.jpg"]
    broken = result.steps["resize[8]"]
    assert broken.status == "completed"
    assert broken.error is not None
    assert len(list((tmp_path / "thumbs").glob("*.jpg"))) == 11
    check_sheet(sheet.path, 200)


@in_process
def test_a_file_that_is_not_a_picture_is_reported(originals: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(originals / "cat.jpg", folder)
    (folder / "invoice.png").write_text("this is no picture")

    sheet = photos.run_sync({"folder": folder, "out": tmp_path}, engine="local", store="memory://").unwrap()

    assert sheet.photos == ["cat.jpg"]
    assert "cannot identify" in sheet.broken["invoice.png"]


@in_process
def test_an_empty_folder_fails_the_run(tmp_path: Path) -> None:
    result = photos.run_sync({"folder": tmp_path}, engine="local", store="memory://")

    assert result.status == "failed"
    assert "no photographs" in str(result.error)
