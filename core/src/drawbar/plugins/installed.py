"""The entry points of the installed distributions in the groups of Drawbar, read from metadata without an import."""

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

# The packages to install for missing names. Only those of this project: any other package would be a guess.
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
    """An engine, store or plugin, as the metadata of its distribution describes it. Nothing has been imported.

    Attributes:
        name: Name of the entry point. The settings select an engine by it.
        distribution: Name of its distribution.
        version: Version of the distribution.
        requires: The requirement of the distribution on `drawbar`, such as `<0.2,>=0.1`; None if it has none.
        reference: The object that the entry point names, as `module:attribute`.
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
    """Read the entry points of all installed distributions. Keep the answer: importlib_metadata has no cache."""
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
    """Return the installed version of Drawbar; None if it is a bare source tree on `sys.path`."""
    import importlib_metadata as metadata

    try:
        return metadata.version("drawbar")
    except metadata.PackageNotFoundError:
        return None


def check_version(listed: Listed, subject: str) -> None:
    """Check that a distribution accepts this version of Drawbar.

    Args:
        listed: The plugin.
        subject: Name of the plugin, for the error.

    Raises:
        EngineIncompatible: It requires another version.
    """
    own = own_version()
    if listed.requires is None or own is None or satisfies(own, listed.requires):
        return
    raise EngineIncompatible(
        f"{subject}: {listed.distribution} {listed.version} is made for drawbar {listed.requires}, "
        f"and this is drawbar {own}. "
        f"Upgrade one of them: pip install --upgrade drawbar {listed.distribution}"
    )


def display_name(group: str, name: str) -> str:
    """Return the name of an entry for messages."""
    return f"engine {name!r}" if group == ENGINES else f"a store for {name}:// URLs"


def missing_text(group: str, name: str, installed: Sequence[str]) -> str:
    """Return the message for a name that no installed distribution offers.

    Args:
        group: The group of entry points.
        name: The name.
        installed: The names that are installed.
    """
    names = f"installed: {', '.join(sorted(set(installed)))}" if installed else "none is installed"
    package = _PUBLISHED.get((group, name))
    if package:
        return f"{display_name(group, name)} is not installed ({names}). Install it: pip install {package}"
    known = [*installed, *(published for kind, published in _PUBLISHED if kind == group)]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "Install the package that offers it, or choose another name."
    return f"{display_name(group, name)} is not known ({names}). {hint}"
