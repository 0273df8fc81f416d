"""Plugins: user modules that register objects, tasks, arms, agents and more when they are imported.

A plugin is found in two ways. An installed package declares it in its ``pyproject.toml``::

    [project.entry-points."vjepa_sim.plugins"]
    bottle = "my_package.bottle"

Or the command line names a module or file: ``vjepa-sim VERB --plugin bottle.py``, which sets the environment variable
``VJEPA_SIM_PLUGINS`` for this process and its child processes. Plugins are imported with the package, or at
the first look-up in a :class:`.Registry`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import zlib
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from vjepa_sim.envs.errors import UserError

GROUP = "vjepa_sim.plugins"
VARIABLE = "VJEPA_SIM_PLUGINS"
T = TypeVar("T")
FILE_PREFIX = "vjepa_sim_plugin_"  # of the names of modules that are loaded from a file

_loaded: dict[str, str] | None = None  # version or CRC-32 of each plugin by name; None before the first look-up


def add_plugins(names: Iterable[str]) -> None:
    """Add plugins to this process and its child processes, and import them.

    Args:
        names: modules (``my_package.bottle``), or paths of Python files (``bottle.py``).

    Raises:
        UserError: a plugin can't be loaded.
    """
    named = [os.path.abspath(name) if _is_file(name) else name for name in names]
    earlier = _named()
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*earlier, *named]))
    loaded = load_plugins()
    for name in named:
        _load(name, loaded)


def load_plugins() -> dict[str, str]:
    """Import all plugins, once; returns by name each one's identity: a package's version, or a file's CRC-32.

    Raises:
        UserError: a plugin can't be loaded.
    """
    global _loaded
    if _loaded is None:
        _loaded = {}  # set before the imports: plugins use registries themselves
        try:
            for entry in entry_points(group=GROUP):
                _import(entry.value, entry.load)
                _loaded[entry.value] = "unknown" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
            for name in _named():
                _load(name, _loaded)
        except BaseException:
            _loaded = None
            raise
    return _loaded


def _named() -> list[str]:
    return [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]


def _is_file(name: str) -> bool:
    return name.endswith(".py") or os.sep in name


def _load(name: str, loaded: dict[str, str]) -> None:
    """Import a plugin by name, unless it is loaded already."""
    if name not in loaded:
        find = (lambda: _load_file(Path(name))) if _is_file(name) else (lambda: importlib.import_module(name))
        file = _import(name, find).__file__
        loaded[name] = "unknown" if file is None else f"crc32 {zlib.crc32(Path(file).read_bytes())}"


def _load_file(path: Path) -> ModuleType:
    """Import a file under a module name of its own, so that it is loaded once."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = FILE_PREFIX + path.stem
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name: str, load: Callable[[], T]) -> T:
    """Import a plugin; any failure becomes a :class:`.UserError` with the plugin's name."""
    try:
        return load()
    except UserError as error:
        raise UserError(f"Plugin {name}: {error}") from error
    except Exception as error:
        raise UserError(
            f"Plugin {name} can't be loaded ({type(error).__name__}: {error}). Correct it, or leave it out: "
            f"see --plugin, the environment variable {VARIABLE}, and the package that declares it."
        ) from error
