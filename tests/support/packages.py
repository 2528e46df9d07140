"""Distributions made up on the spot: a folder with modules and the metadata that pip would have written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent


def install(
    folder: Path,
    name: str,
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    entry_points: Mapping[str, Mapping[str, str]] | None = None,
    modules: Mapping[str, str] | None = None,
) -> None:
    """Put a distribution into `folder`, as if installed there; the folder has to be on `sys.path`."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    text = ""
    for group, points in (entry_points or {}).items():
        text += f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()) + "\n"
    (info / "entry_points.txt").write_text(text)
    for module, source in (modules or {}).items():
        (folder / f"{module}.py").write_text(dedent(source))
