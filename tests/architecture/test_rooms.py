"""Every module of the core is in a room, and a room imports only the rooms below it."""

import ast
from pathlib import Path

import pytest

from tests.architecture.imports import FACES, arrows, circles, forbidden, room_of
from tests.architecture.rooms import ANYTHING, PUBLIC_MODULES, ROOMS, Room
from tests.support.source import CORE, PLUGINS, ROOT, Module, modules

CORE_MODULES = modules(CORE)
KIT = "drawbar.conformance"
EXAMPLES = sorted(path for path in ROOT.glob("examples/**/*.py") if ".venv" not in path.parts)
PUBLIC = {module.name: module.names for module in PUBLIC_MODULES}


def test_every_module_is_in_a_room() -> None:
    outside = [m.name for m in CORE_MODULES if m.name not in FACES and room_of(m.name) is None]

    assert outside == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_is_where_the_table_says(room: Room) -> None:
    assert (CORE / "src" / "drawbar" / room.path).exists()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_may_import_only_rooms_below_it(room: Room) -> None:
    below = [other.name for other in ROOMS[: ROOMS.index(room)]]

    assert [name for name in room.may_import if name not in (ANYTHING, *below)] == []


def test_a_room_imports_what_the_table_allows_at_import_time_lazily_and_for_types() -> None:
    assert forbidden(CORE_MODULES) == []


def test_no_module_imports_itself_round_a_circle() -> None:
    # Faces only hand on what is in rooms, and the specifications of hooks name types of every room.
    graph = {
        name: [
            target
            for one, target in inside
            if not (name == "drawbar.plugins.hookspecs" and not one.at_run_time)
        ]
        for name, inside in arrows(CORE_MODULES).items()
        if name not in FACES
    }

    assert circles(graph) == []


def written(folder: Path, name: str, text: str) -> Module:
    path = folder / f"{name}.py"
    path.write_text(text)
    return Module(name, path)


def test_an_import_upwards_is_found_also_inside_a_function_and_for_types(tmp_path: Path) -> None:
    found = forbidden([
        written(tmp_path, "drawbar.worker.worker", ""),
        written(tmp_path, "drawbar.plan", "def late():\n    from drawbar.worker.worker import Worker\n"),
        written(
            tmp_path,
            "drawbar.records",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from drawbar.plan import Plan\n",
        ),
    ])

    assert found == [
        "drawbar.plan, line 2: plan may not import worker (drawbar.worker.worker.Worker)",
        "drawbar.records, line 3: records may not import plan (drawbar.plan.Plan)",
    ]


def test_a_circle_is_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}) == [["a", "b", "c"]]


def is_face(module: Module) -> bool:
    return module.name in FACES or (module.path.name == "__init__.py" and module.name.count(".") == 1)


@pytest.mark.parametrize(
    "module", [m for m in CORE_MODULES if is_face(m) and m.name.split(".")[-1] not in ("conformance", "cli")], ids=str
)
def test_a_face_only_hands_on_names(module: Module) -> None:
    statements = [
        node
        for node in ast.parse(module.text).body
        if not (
            isinstance(node, ast.Import | ast.ImportFrom | ast.If | ast.Assign | ast.AnnAssign)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            or (isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__"))
        )
    ]

    assert [ast.unparse(node) for node in statements] == [] or module.name == "drawbar.__main__"


@pytest.mark.parametrize("module", [m for m in CORE_MODULES if not is_face(m) and not m.name.startswith(KIT)], ids=str)
def test_rooms_import_modules_and_not_faces(module: Module) -> None:
    names = {m.name for m in CORE_MODULES}
    packages = {m.name for m in CORE_MODULES if m.path.name == "__init__.py" and m.name.count(".") == 1}
    through = [
        f"line {one.line}: {one.target}"
        for one in module.imports
        if one.reaches("drawbar") and one.target not in names and one.target.rpartition(".")[0] in packages
    ]

    assert through == []


@pytest.mark.parametrize(
    "room",
    [room for room in ROOMS if room.name not in ("errors", "records", "cli", "conformance")],
    ids=lambda room: room.name,
)
def test_a_room_says_which_of_its_modules_are_public(room: Room) -> None:
    path = CORE / "src" / "drawbar" / (room.path if room.is_file else f"{room.path}__init__.py")
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""

    assert "internal" in docstring.lower()
    assert [name for name in room.public if f"`{name}`" not in docstring] == []


def is_public(target: str) -> bool:
    """Return True if third parties may import a module or a name in one."""
    if any(target == package or target.startswith(f"{package}.") for package in (KIT, "drawbar.stores.sql")):
        return True
    if target in PUBLIC:
        return True
    module, _, name = target.rpartition(".")
    return module in PUBLIC and (not PUBLIC[module] or name in PUBLIC[module]) and not name.startswith("_")


def private(module: Module) -> list[str]:
    return [f"line {i.line}: {i.target}" for i in module.imports if i.reaches("drawbar") and not is_public(i.target)]


@pytest.mark.parametrize("module", [m for d in PLUGINS for m in modules(d)], ids=str)
def test_a_plugin_imports_public_modules(module: Module) -> None:
    assert private(module) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_imports_public_modules(path: Path) -> None:
    assert private(Module(path.stem, path)) == []


@pytest.mark.parametrize("module", [m for m in CORE_MODULES if m.name.startswith(KIT)], ids=str)
def test_the_kit_imports_public_modules(module: Module) -> None:
    assert private(module) == []
