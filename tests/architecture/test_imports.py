"""Imports: the core knows no engine, and the machine does no I/O."""

import subprocess
import sys

import pytest

from tests.support.source import CORE, DISTRIBUTIONS, Import, Module, modules

CORE_MODULES = modules(CORE)
ENGINES_AND_STORES = ("celery", "dramatiq", "redis", "psycopg", "kombu", "pika")

# Packages that `import drawbar` must not load.
EXTRAS = ("click", "rich", "pytest", "hypothesis", "trio", "pydantic_settings", "sqlite3")
OPTIONAL = {*ENGINES_AND_STORES, *EXTRAS}
ROOMS_FOR_RUNNING = tuple(f"drawbar.{room}" for room in ("settings", "stores", "worker", "engine", "client", "cli"))

# The machine decides what follows. With a clock, a file or randomness it would not decide the same again.
MACHINE_MAY_IMPORT = ("drawbar.plan", "drawbar.records", "drawbar.values.shape", "drawbar.errors")
IMPURE = (
    *("anyio", "asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess"),
    *("threading", "time", "uuid"),
)


def of(part: str) -> list[Module]:
    """Return the modules of one room of the core: `machine` is machine.py, or the package machine."""
    name = f"drawbar.{part}"
    return [module for module in CORE_MODULES if module.name == name or module.name.startswith(f"{name}.")]


def those(imports: list[Import], *targets: str) -> list[str]:
    return [f"line {i.line}: {i.target}" for i in imports if any(map(i.reaches, targets))]


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_the_core_imports_no_engine_no_database_and_no_event_loop(module: Module) -> None:
    assert those(module.imports, *ENGINES_AND_STORES, "asyncio") == []


def loaded_with_drawbar() -> set[str]:
    """Return the modules that `import drawbar` loads in a new process."""
    # A tool that runs in every process, such as coverage, has loaded modules of its own.
    program = "import sys; before = set(sys.modules); import drawbar; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_drawbar_imports_nothing_that_only_some_need() -> None:
    assert {name.partition(".")[0] for name in loaded_with_drawbar()} & OPTIONAL == set()


def test_importing_drawbar_imports_no_room_that_is_only_for_running() -> None:
    assert {name for name in loaded_with_drawbar() if name.startswith(ROOMS_FOR_RUNNING)} == set()


@pytest.mark.parametrize("module", of("machine"), ids=str)
def test_the_machine_is_pure(module: Module) -> None:
    inside = [i for i in module.imports if i.reaches("drawbar") and not i.reaches("drawbar.machine")]

    assert [i.target for i in inside if not any(map(i.reaches, MACHINE_MAY_IMPORT))] == []
    assert those(module.imports, *IMPURE) == []


def test_nothing_imports_the_command_line_but_itself() -> None:
    outside = [
        m for d in DISTRIBUTIONS for m in modules(d) if m not in of("cli") and m.name != "drawbar.__main__"
    ]

    assert {str(m): those(m.imports, "drawbar.cli") for m in outside if those(m.imports, "drawbar.cli")} == {}
