"""The notes of steps can be read while steps write."""

from __future__ import annotations

from pathlib import Path

from drawbar import Context
from drawbar.conformance import witness


def test_an_incomplete_line_is_not_read(tmp_path: Path) -> None:
    ctx = Context(run_id="r", step_id="s", address="s", metadata={witness.FOLDER: str(tmp_path)})
    witness.note(ctx, "one")
    witness.note(ctx, "two")
    file = tmp_path / "r.notes"
    text = file.read_text()

    file.write_text(text[:-10])
    assert [note.what for note in witness.read(tmp_path, "r")] == ["one"]
    file.write_text(text)
    assert [note.what for note in witness.read(tmp_path, "r")] == ["one", "two"]
