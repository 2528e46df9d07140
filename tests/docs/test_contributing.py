"""The map of the rooms and the list of public modules agree with the repository."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.architecture.rooms import ANYTHING, PUBLIC_MODULES, ROOMS, PublicModule, Room
from tests.docs.pages import ROOT, name_of

PAGES = sorted((ROOT / "docs" / "contributing").rglob("*.md"))
PATH = re.compile(r"`((?:benchmarks|docs|examples|tests)/[a-z_*/.-]+)`")


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_imports_only_rooms_before_it(room: Room) -> None:
    before = [other.name for other in ROOMS[: ROOMS.index(room)]]

    assert [name for name in room.may_import if name != ANYTHING and name not in before] == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_the_tests_of_a_room_exist(room: Room) -> None:
    assert room.tests
    assert [folder for folder in room.tests if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize("public", PUBLIC_MODULES, ids=lambda public: public.name)
def test_a_public_module_has_its_public_names(public: PublicModule) -> None:
    module = importlib.import_module(public.name)

    assert [name for name in public.names if not hasattr(module, name)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = PATH.findall(page.read_text("utf-8"))

    assert [path for path in named if not any(ROOT.glob(path.rstrip("/")))] == []
