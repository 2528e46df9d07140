"""The imports between the modules of the core, and what is wrong with them."""

from collections.abc import Iterable, Mapping

from tests.architecture.rooms import ANYTHING, ROOMS, Room
from tests.support.source import Import, Module

FACES = ("drawbar", "drawbar.__main__", "drawbar.hookspecs")
"""Modules of no room: the public face at the top. The `__init__` of a room is a face too."""

Graph = Mapping[str, Iterable[str]]


def room_of(name: str) -> Room | None:
    """Return the room of a module of the core; None for a face at the top."""
    if name in FACES:
        return None
    first = name.split(".")[1]
    return next((room for room in ROOMS if room.name == first), None)


def module_of(target: str, known: Iterable[str]) -> str | None:
    """Return the module that an import of the core names, or None for an import of something else."""
    names = set(known)
    while target:
        if target in names:
            return target
        target = target.rpartition(".")[0]
    return None


def arrows(modules: Iterable[Module]) -> dict[str, list[tuple[Import, str]]]:
    """Return the imports between modules, lazy and type-only ones too: module to (import, imported module)."""
    modules = list(modules)
    names = [module.name for module in modules]
    found: dict[str, list[tuple[Import, str]]] = {}
    for module in modules:
        inside = found.setdefault(module.name, [])
        for one in module.imports:
            target = module_of(one.target, names)
            if target is not None and target != module.name:
                inside.append((one, target))
    return found


def forbidden(modules: Iterable[Module]) -> list[str]:
    """Return the imports that the table of rooms does not allow, a line each."""
    problems = []
    for name, inside in arrows(modules).items():
        room = room_of(name)
        if room is None or (name == f"drawbar.{room.name}" and not room.is_file):
            continue
        for one, target in inside:
            # The specifications of hooks name the types of what they are given.
            if name == "drawbar.plugins.hookspecs" and not one.at_run_time:
                continue
            other = room_of(target)
            if other is None:
                if ANYTHING not in room.may_import:
                    problems.append(f"{name}, line {one.line}: {target} is a face, which no room imports")
            elif other.name not in (room.name, "errors", *room.may_import) and ANYTHING not in room.may_import:
                problems.append(f"{name}, line {one.line}: {room.name} may not import {other.name} ({one.target})")
    return problems


def circles(graph: Graph) -> list[list[str]]:
    """Return the circles of a graph: groups of nodes that reach each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = []
            while True:
                member = stack.pop()
                group.append(member)
                if member == node:
                    break
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found
