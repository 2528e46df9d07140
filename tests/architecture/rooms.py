"""The rooms of the core: one table for the architecture tests and for the contributing map.

A *room* is a folder of `core/src/drawbar` with one subject, or one module that is a subject by itself. A room imports
only rooms that come before it in `ROOMS`. `docs/generate.py` writes the rooms into `docs/contributing/map.md`, and the
public modules into `docs/reference/public-modules.md`.
"""

from dataclasses import dataclass

ANYTHING = "*"
"""In `Room.may_import`: every room."""


@dataclass(frozen=True)
class Room:
    """One subject of the core.

    Attributes:
        name: Name of the package or module below `drawbar`.
        owns: The subject, as one phrase for the map.
        may_import: The rooms that its modules may import. Every room may import itself and `errors`.
        tests: The folders with its tests, from the root of the repository.
        is_file: True for a single module, false for a folder.
    """

    name: str
    owns: str
    may_import: tuple[str, ...]
    tests: tuple[str, ...]
    is_file: bool = False

    @property
    def path(self) -> str:
        """The room below `core/src/drawbar`: `values/` or `plan.py`."""
        return f"{self.name}.py" if self.is_file else f"{self.name}/"

    @property
    def public(self) -> tuple[str, ...]:
        """The modules of the room that third parties may import."""
        package = f"drawbar.{self.name}"
        return tuple(
            module.name for module in PUBLIC_MODULES if module.name == package or module.name.startswith(f"{package}.")
        )


@dataclass(frozen=True)
class PublicModule:
    """A module that third parties may import.

    Attributes:
        name: Its full name.
        purpose: The reader it is for and what it holds, as one phrase for the reference.
        names: The names that are public; empty for all names without an underscore.
    """

    name: str
    purpose: str
    names: tuple[str, ...] = ()


# From bottom to top.
ROOMS = (
    Room(
        "errors",
        "the tree of errors that Drawbar raises on purpose",
        may_import=(),
        tests=("tests/architecture",),
        is_file=True,
    ),
    Room(
        "records",
        "the records that stores keep and that machine, worker and store exchange; reserved addresses",
        may_import=(),
        tests=("tests/stores",),
        is_file=True,
    ),
    Room(
        "values",
        "types to JSON and back, shapes of values, references between steps, limits of size",
        may_import=("records",),
        tests=("tests/values",),
    ),
    Room(
        "settings",
        "the settings of the core, the sources they come from, masking of secrets",
        may_import=(),
        tests=("tests/settings",),
    ),
    Room(
        "stores",
        "the interface of a store, the meaning of each operation, the stores `memory` and `sqlite`",
        may_import=("records", "settings"),
        tests=("tests/stores/core",),
    ),
    Room(
        "steps",
        "a function becomes a `Step`; retry policy; binding of arguments; `Context`",
        may_import=("records", "values"),
        tests=("tests/steps",),
    ),
    Room(
        "plan",
        "the compiled graph: flat nodes, templates, addresses, the fingerprint",
        may_import=("records", "values"),
        tests=("tests/plan",),
        is_file=True,
    ),
    Room(
        "machine",
        "the next tasks, joins or the end after an outcome: pure functions without I/O or clock",
        may_import=("records", "values", "plan"),
        tests=("tests/machine",),
        is_file=True,
    ),
    Room(
        "results",
        "`RunResult`, `StepResult`, `ErrorInfo`, `Event`: the records as users see them",
        may_import=("records", "values", "stores", "steps", "plan"),
        tests=("tests/client",),
        is_file=True,
    ),
    Room(
        "graph",
        "the graph as data, the rules that `commit()` checks, the compiler to a plan, pictures",
        may_import=("records", "values", "steps", "plan"),
        tests=("tests/graph",),
    ),
    Room(
        "plugins",
        "installed distributions, their versions, entry points, hook specifications, calls of hooks",
        may_import=("records", "settings", "stores"),
        tests=("tests/plugins",),
    ),
    Room(
        "worker",
        "a message becomes a committed outcome: claim, attempt, commit, dispatch; the ticker; the process it runs in",
        may_import=(
            *("records", "values", "settings", "stores", "steps", "plan", "machine", "results", "graph"),
            "plugins",
        ),
        tests=("tests/worker", "tests/machine"),
    ),
    Room(
        "engine",
        "the interface for engines, their settings, loading and choosing an engine, `drawbar worker`",
        may_import=("records", "settings", "plugins", "worker"),
        tests=("tests/engines/contract", "tests/plugins"),
    ),
    Room(
        "client",
        "runs are started, found and steered; sync twins; fork",
        may_import=(
            *("records", "values", "settings", "stores", "steps", "plan", "machine", "results", "graph"),
            *("plugins", "worker", "engine"),
        ),
        tests=("tests/client",),
    ),
    Room(
        "authoring",
        "the calls that users write: `workflow`, the builder, `chain`, `commit`, `Workflow`",
        may_import=("records", "values", "steps", "plan", "results", "graph", "plugins", "client"),
        tests=("tests/authoring",),
    ),
    Room(
        "cli",
        "the command line",
        may_import=(ANYTHING,),
        tests=("tests/cli",),
    ),
    Room(
        "conformance",
        "the contract as tests: clauses for engines, the suite for stores",
        may_import=(ANYTHING,),
        tests=("tests/conformance",),
    ),
)

PUBLIC_MODULES = (
    PublicModule("drawbar", "for users: every name of [the list](index.md#every-public-name)"),
    PublicModule("drawbar.errors", "for users: [the errors](errors.md)"),
    PublicModule("drawbar.settings", "for users and tools: reads [settings](settings.md) and their sources"),
    PublicModule("drawbar.settings.masking", "for engines and stores: shows a URL without its secrets", ("mask_url",)),
    PublicModule("drawbar.client", "for users: an opened engine", ("Client", "open_engine")),
    PublicModule("drawbar.hookspecs", "for plugins: [the hooks](hooks.md)"),
    PublicModule(
        "drawbar.plugins",
        "for plugins and their tests: active hooks, installed engines and stores",
        ("hooks", "list_engines", "load_engine", "load_store"),
    ),
    PublicModule("drawbar.engine", "for engines: [all that an engine is written with](engines.md)"),
    PublicModule("drawbar.engine.checks", "for engines: warnings about settings of task queues and brokers"),
    PublicModule("drawbar.graph.nodes", "for plugins that check graphs: the nodes in `Workflow.nodes`"),
    PublicModule("drawbar.records", "for stores: the records that a store keeps and exchanges"),
    PublicModule("drawbar.stores", "for stores: `Store` and `StorePlugin`", ("Ready", "Store", "StorePlugin")),
    PublicModule("drawbar.stores.base", "for stores: the interface `Store`, and `StorePlugin`"),
    PublicModule("drawbar.stores.rows", "for stores: `Rows`, the small interface below the shared operations"),
    PublicModule("drawbar.stores.rows_store", "for stores: a `Store` made of `Rows`, and one for clients that block"),
    PublicModule("drawbar.stores.sql", "for stores on SQL databases: records, statements, `SqlRows`, `SqlReader`"),
    PublicModule("drawbar.stores.jobs", "for stores: the answer of a call that another thread works on"),
    PublicModule("drawbar.stores.options", "for stores: reads the options in a store's URL"),
    PublicModule("drawbar.stores.transitions", "for stores: on rows, the operations create, claim, commit"),
    PublicModule("drawbar.stores.control", "for stores: on rows, all other operations: due, renew, resume, …"),
    PublicModule("drawbar.stores.waiting", "for stores: wakes waiters in any thread and event loop of a process"),
    PublicModule("drawbar.stores.values", "for stores: compares values in JSON form"),
    PublicModule("drawbar.stores.memory", "for tests: `MemoryStore`, whose clock can be set"),
    PublicModule("drawbar.stores.sqlite", "for tests: `SqliteStore`"),
    PublicModule("drawbar.conformance", "for engines and stores: [the kit](../contract/index.md), with its submodules"),
)
