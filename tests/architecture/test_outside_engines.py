"""The engines of examples/engines are those of third parties: short, and written on the public interface alone."""

from pathlib import Path

import pytest

from tests.support.source import DISTRIBUTIONS, ROOT, Module, modules

OUTSIDE = sorted(file.parent for file in ROOT.glob("examples/engines/*/pyproject.toml"))
ENGINES = [module for folder in OUTSIDE for module in modules(folder)]
PUBLIC = ("drawbar.engine", "drawbar.hookimpl", "drawbar.errors")
LONGEST_ENGINE = 60


def test_there_are_five() -> None:
    assert len(OUTSIDE) >= 5


@pytest.mark.parametrize("folder", OUTSIDE, ids=lambda path: path.name)
def test_an_engine_fits_on_a_page(folder: Path) -> None:
    lines = {str(module): module.code_lines for module in ENGINES if folder in module.path.parents}

    assert sum(lines.values()) <= LONGEST_ENGINE, lines


@pytest.mark.parametrize("module", ENGINES, ids=str)
def test_it_uses_the_public_interface_alone(module: Module) -> None:
    ours = [i.target for i in module.imports if i.reaches("drawbar")]

    assert [target for target in ours if not any(target.startswith(public) for public in PUBLIC)] == []


@pytest.mark.parametrize("folder", OUTSIDE, ids=lambda path: path.name)
def test_nothing_imports_it(folder: Path) -> None:
    package = f"drawbar_{folder.name}"
    sources = [module for distribution in DISTRIBUTIONS for module in modules(distribution)]
    importing = [str(m) for m in sources if any(i.reaches(package) for i in m.imports)]

    assert importing == []
