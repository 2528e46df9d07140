"""Who may import whom: the core knows no engine, the machine does no I/O, data flows one way."""

import subprocess
import sys

import pytest

from tests.support.source import CORE, DISTRIBUTIONS, PLUGINS, Import, Module, modules

CORE_MODULES = modules(CORE)
ENGINES_AND_STORES = ("celery", "dramatiq", "redis", "psycopg", "kombu", "pika")

# What a user pays for `import drawbar`: none of these.
EXTRAS = ("click", "rich", "pytest", "hypothesis", "trio", "pydantic_settings", "sqlite3")
NOT_FOR_EVERYBODY = {*ENGINES_AND_STORES, *EXTRAS}

# Authoring -> plan -> machine -> worker. What comes earlier does not import what comes later.
EARLIER_TO_LATER = ("steps", "graph", "plan", "machine", "worker", "cli")

# The machine decides what follows; who looks at a clock, a file or a die decides something else next time.
MACHINE_MAY_IMPORT = ("drawbar.plan", "drawbar.records", "drawbar.values", "drawbar.errors")
IMPURE = (
    *("anyio", "asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess"),
    *("threading", "time", "uuid"),
)


def of(part: str) -> list[Module]:
    """The modules of one room of the core: `machine` is machine.py, or the package machine."""
    name = f"drawbar.{part}"
    return [module for module in CORE_MODULES if module.name == name or module.name.startswith(f"{name}.")]


def those(imports: list[Import], *targets: str) -> list[str]:
    return [f"line {i.line}: {i.target}" for i in imports if any(map(i.reaches, targets))]


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_the_core_imports_no_engine_no_database_and_no_event_loop(module: Module) -> None:
    assert those(module.imports, *ENGINES_AND_STORES, "asyncio") == []


def test_importing_drawbar_imports_nothing_that_only_some_need() -> None:
    program = "import sys, drawbar; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert {name.partition(".")[0] for name in done.stdout.split()} & NOT_FOR_EVERYBODY == set()


@pytest.mark.parametrize("module", of("machine"), ids=str)
def test_the_machine_is_pure(module: Module) -> None:
    inside = [i for i in module.imports if i.reaches("drawbar") and not i.reaches("drawbar.machine")]

    assert [i.target for i in inside if not any(map(i.reaches, MACHINE_MAY_IMPORT))] == []
    assert those(module.imports, *IMPURE) == []


@pytest.mark.parametrize("part", EARLIER_TO_LATER[:-1])
def test_data_flows_one_way(part: str) -> None:
    later = [f"drawbar.{name}" for name in EARLIER_TO_LATER[EARLIER_TO_LATER.index(part) + 1 :]]
    back = {str(m): those([i for i in m.imports if i.at_import], *later) for m in of(part)}

    assert of(part), f"there is no drawbar.{part}"
    assert {module: found for module, found in back.items() if found} == {}


def test_nothing_imports_the_command_line_but_itself() -> None:
    outside = [
        m for d in DISTRIBUTIONS for m in modules(d) if m not in of("cli") and m.name != "drawbar.__main__"
    ]

    assert {str(m): those(m.imports, "drawbar.cli") for m in outside if those(m.imports, "drawbar.cli")} == {}


@pytest.mark.parametrize("module", [m for d in PLUGINS for m in modules(d)], ids=str)
def test_plugins_use_what_third_parties_may_use(module: Module) -> None:
    private = [i.target for i in module.imports if i.reaches("drawbar") and "._" in i.target]

    assert private == []
