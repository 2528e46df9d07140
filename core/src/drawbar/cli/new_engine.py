"""`drawbar new-engine`: create a package for a new engine, with two methods left for its author to write."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template

import click

from drawbar.errors import ConfigurationError

FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "tox.ini.txt": "tox.ini",
    "engine.py.txt": "src/$package/__init__.py",
    "test_conformance.py.txt": "tests/test_conformance.py",
}
"""Template file to target file."""


@click.command()
@click.argument("name")
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write to. Default: drawbar-NAME in the current folder.",
)
def new_engine(name: str, path: Path | None) -> None:
    """Create a package for a new engine called NAME.

    The package can be installed at once. Its tests run the conformance kit, which reports what is left to do.
    """
    import importlib_metadata as metadata

    from drawbar.plugins.registry import list_engines

    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConfigurationError(
            f"{name!r} is not a valid engine name: use lowercase letters, digits, - and _, as in my-queue"
        )
    for listed in list_engines():
        if listed.name == name:
            raise ConfigurationError(
                f"engine {name!r} exists already, from {listed.distribution} {listed.version}"
            )
    words = re.split("[-_]", name)
    major, minor, *_ = metadata.version("drawbar").split(".")
    values = {
        "engine": name,
        "cls": "".join(word.capitalize() for word in words),
        "distribution": f"drawbar-{'-'.join(words)}",
        "package": f"drawbar_{'_'.join(words)}",
        "version": f"{major}.{minor},<{major}.{int(minor) + 1}",
    }
    folder = path if path is not None else Path(values["distribution"])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} exists already; choose another folder with --path")
    templates = resources.files("drawbar.conformance") / "template"
    try:
        for source, target in FILES.items():
            file = folder / Template(target).substitute(values)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template((templates / source).read_text("utf-8")).substitute(values), "utf-8")
        (folder / "src" / values["package"] / "py.typed").touch()
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error}") from None
    click.echo(f"wrote {folder}: an engine called {name}. Next:")
    click.echo(f"  cd {folder}")
    click.echo('  pip install -e ".[test]"')
    click.echo("  pytest        # the conformance kit reports what is left to do")
