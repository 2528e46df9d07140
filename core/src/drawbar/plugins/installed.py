"""What is installed: the entry points of Drawbar's groups, read from metadata without importing anything."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drawbar.errors import EngineIncompatible
from drawbar.plugins.versions import normalized, requirement_on, satisfies

if TYPE_CHECKING:
    from collections.abc import Sequence

    import importlib_metadata as metadata

ENGINES = "drawbar.engines"
STORES = "drawbar.stores"
PLUGINS = "drawbar.plugins"

# What to install for a name that is not there. Only what this project publishes: anything else would be a
# guess.
_PUBLISHED = {
    (ENGINES, "local"): "drawbar-local",
    (ENGINES, "celery"): "drawbar-celery",
    (ENGINES, "dramatiq"): "drawbar-dramatiq",
    (STORES, "memory"): "drawbar",
    (STORES, "sqlite"): "drawbar",
    (STORES, "redis"): "drawbar-redis",
    (STORES, "rediss"): "drawbar-redis",
    (STORES, "postgres"): "drawbar-postgres",
    (STORES, "postgresql"): "drawbar-postgres",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """An engine, store or plugin as its distribution's metadata announces it; nothing has been imported.

    Attributes:
        name: Name of the entry point: what the configuration says.
        distribution: The distribution that brings it.
        version: That distribution's version.
        requires: Its requirement on `drawbar`, such as `<0.2,>=0.1`; None when it states none.
        reference: The object the entry point names, `module:attribute`.
    """

    name: str
    distribution: str
    version: str
    requires: str | None
    reference: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.reference})"


Entry = tuple[Listed, "metadata.EntryPoint"]


def scan() -> dict[str, list[Entry]]:
    """One pass over the installed distributions. Keep the answer: the library underneath keeps nothing."""
    import importlib_metadata as metadata

    groups: dict[str, list[Entry]] = {ENGINES: [], STORES: [], PLUGINS: []}
    points = metadata.entry_points()
    for group, found in groups.items():
        for point in points.select(group=group):
            dist = point.dist
            requires = requirement_on("drawbar", list(dist.requires or ()))
            listed = Listed(point.name, dist.name or "?", dist.version or "?", requires, point.value)
            found.append((listed, point))
        found.sort(key=lambda entry: (entry[0].name, normalized(entry[0].distribution)))
    return groups


def own_version() -> str | None:
    """The version of Drawbar that is installed; None in a bare source tree on `sys.path`."""
    import importlib_metadata as metadata

    try:
        return metadata.version("drawbar")
    except metadata.PackageNotFoundError:
        return None


def check_version(listed: Listed, subject: str) -> None:
    """Raises EngineIncompatible when `listed` requires another Drawbar than this one."""
    here = own_version()
    if listed.requires is None or here is None or satisfies(here, listed.requires):
        return
    raise EngineIncompatible(
        f"{subject}: {listed.distribution} {listed.version} is made for drawbar {listed.requires}, "
        f"and this is drawbar {here}. "
        f"Upgrade one of them: pip install --upgrade drawbar {listed.distribution}"
    )


def described(group: str, name: str) -> str:
    """How messages speak of an entry."""
    return f"engine {name!r}" if group == ENGINES else f"a store for {name}:// URLs"


def missing(group: str, name: str, installed: Sequence[str]) -> str:
    """The text for a name that nobody offers: what is there, and what to do."""
    there = f"installed: {', '.join(sorted(set(installed)))}" if installed else "none is installed"
    package = _PUBLISHED.get((group, name))
    if package:
        return f"{described(group, name)} is not installed ({there}). Install it: pip install {package}"
    known = [*installed, *(published for kind, published in _PUBLISHED if kind == group)]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "Install what brings it, or choose another."
    return f"{described(group, name)} is not known ({there}). {hint}"
