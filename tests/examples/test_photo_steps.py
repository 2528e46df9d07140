"""The plain functions of the photos example, without Drawbar."""

from __future__ import annotations

from pathlib import Path

import pytest
from imaging import Photo, Thumb, contact_sheet, list_photos, resize
from PIL import Image, ImageStat


def test_only_photographs_are_listed_by_name(examples: Path, tmp_path: Path) -> None:
    photos = list_photos(examples / "photos" / "originals", tmp_path, 200)

    assert [photo.source.name for photo in photos][:3] == ["astronaut.jpg", "cat.jpg", "china.jpg"]
    assert len(photos) == 12
    assert photos[0].thumb == tmp_path / "thumbs" / "astronaut.jpg"


def test_a_folder_without_photographs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="no photographs"):
        list_photos(tmp_path, tmp_path, 200)


def test_a_thumbnail_has_the_size_asked_for_and_the_same_shape(examples: Path, tmp_path: Path) -> None:
    thumb = resize(Photo(examples / "photos" / "originals" / "china.jpg", tmp_path / "china.jpg", 160))

    assert (thumb.width, thumb.height) == (640, 427)
    with Image.open(tmp_path / "china.jpg") as image:
        assert image.size == (160, 107)
        assert image.format == "JPEG"


def test_the_orientation_of_the_camera_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (300, 200), "navy")
    exif = picture.getexif()
    exif[0x0112] = 6  # orientation: turned by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif)

    resize(Photo(tmp_path / "turned.jpg", tmp_path / "thumb.jpg", 90))

    with Image.open(tmp_path / "thumb.jpg") as image:
        assert image.size == (60, 90)


def test_an_interrupted_upload_cannot_be_resized_and_leaves_nothing(examples: Path, tmp_path: Path) -> None:
    photo = Photo(examples / "photos" / "originals" / "interrupted-upload.jpg", tmp_path / "thumb.jpg", 160)
    with pytest.raises(OSError, match="truncated"):
        resize(photo)
    assert list(tmp_path.iterdir()) == []


def test_the_sheet_shows_each_photograph_and_marks_the_broken_one(tmp_path: Path) -> None:
    thumbs = []
    for name, colour in (("sea", "#1040c0"), ("wood", "#108030")):
        Image.new("RGB", (100, 60), colour).save(tmp_path / f"{name}.png")
        thumbs.append(Thumb(f"{name}.png", tmp_path / f"{name}.png", 100, 60))
    thumbs.append(Thumb("gone.jpg", error="image file is truncated"))

    sheet = contact_sheet(thumbs, tmp_path / "out", 100)

    assert sheet.photos == ["sea.png", "wood.png"]
    assert sheet.broken == {"gone.jpg": "image file is truncated"}
    with Image.open(sheet.path) as image:
        assert image.size == (16 + 3 * 116, 16 + 156)
        assert image.getpixel((66, 66)) == (0x10, 0x40, 0xC0)
        assert image.getpixel((182, 66)) == (0x10, 0x80, 0x30)
        red, green, blue = ImageStat.Stat(image.convert("RGB").crop((248, 16, 348, 116))).mean
        assert red > green + 5
        assert red > blue + 5
