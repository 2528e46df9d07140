"""Import of the modules and files that settings or a command line name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drawbar.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType


_files: dict[str, Path] = {}
"""The files that were imported by their path, by the name of the module."""


def name_to_import(module: str) -> str:
    """Return the text that names a module for `import_module_or_file`, in this process and in another one.

    Args:
        module: The name of an imported module.
    """
    file = _files.get(module)
    if file is None:
        return module
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def import_module_or_file(name: str) -> ModuleType:
    """Import a module by its name, or a Python file by its path.

    Args:
        name: `package.module`, or `path/to/flows.py`. A file is imported as module `flows`, if that name is free.

    Raises:
        ConfigurationError: It cannot be found, or its import failed.
    """
    if not name.endswith(".py") and "/" not in name:
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                raise ConfigurationError(
                    f"no module {name!r}: it is looked for on PYTHONPATH and in {Path.cwd()}"
                ) from error
            raise ConfigurationError(f"importing {name!r} failed: {error}") from error
        except (Exception, SystemExit) as error:
            raise ConfigurationError(f"importing {name!r} failed: {type(error).__name__}: {error}") from error
    path = Path(name).resolve()
    if not path.is_file():
        raise ConfigurationError(f"no file {name!r} (looked for {path})")
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    if str(path.parent) not in sys.path:
        # `python path/to/flows.py` does the same, so that the file can import its neighbours.
        sys.path.insert(0, str(path.parent))
    is_free = loaded is None and path.stem.isidentifier()
    module_name = path.stem if is_free else f"drawbar_file_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{name!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    _files[module_name] = path
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise ConfigurationError(f"importing {name!r} failed: {type(error).__name__}: {error}") from error
    return module
