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
import traceback
import zlib
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from vjepa_sim.envs.errors import UserError, class_and_message, line_of

GROUP = "vjepa_sim.plugins"
VARIABLE = "VJEPA_SIM_PLUGINS"
T = TypeVar("T")
FILE_PREFIX = "vjepa_sim_plugin_"  # of the names of modules that are loaded from a file

_loaded: dict[str, str] | None = None  # version or CRC-32 of each plugin by name; None before the first look-up
_undo: list[Callable[[], object]] = []  # takes back what the plugin that is being imported has registered


def add_plugins(names: Iterable[str | Path]) -> None:
    """Add plugins to this process and its child processes, and import them. One that fails leaves nothing behind.

    Args:
        names: modules (``my_package.bottle``), or paths of Python files (``bottle.py``).

    Raises:
        UserError: a plugin can't be loaded.
    """
    if isinstance(names, str):
        raise UserError(f"add_plugins() takes a list of names; given {names!r}. Write add_plugins([{names!r}]).")
    named = [_absolute(os.fspath(name)) for name in names]
    loaded = load_plugins()
    for name in named:
        _load(name, loaded)
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*_named(), *named]))


def on_failure(undo: Callable[[], object]) -> None:
    """Call a function if the import of the present plugin fails."""
    _undo.append(undo)


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


def _absolute(name: str) -> str:
    """A plugin's name for child processes, which may run in another folder."""
    if not _is_file(name):
        if not all(part.isidentifier() for part in name.split(".")):
            raise UserError(f"{name!r} is no plugin: expected a module such as my_package.bottle, or a file bottle.py.")
        return name
    path = os.path.realpath(name)
    if os.pathsep in path:  # it separates the names in the variable
        raise UserError(f"Plugin {path}: its path must not contain {os.pathsep!r}. Move or rename it.")
    return path


def _load(name: str, loaded: dict[str, str]) -> None:
    """Import a plugin by name, unless it is loaded already."""
    if name not in loaded:
        find = (lambda: _load_file(Path(name))) if _is_file(name) else (lambda: importlib.import_module(name))
        file = _import(name, find).__file__
        loaded[name] = "unknown" if file is None else f"crc32 {zlib.crc32(Path(file).read_bytes())}"


def _load_file(path: Path) -> ModuleType:
    """Import a file under a module name of its own, so that it is loaded once."""
    if not path.is_file():
        raise UserError(f"{'this is a folder' if path.is_dir() else 'there is no such file'}; expected a Python file.")
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
    _undo.clear()
    try:
        loaded = load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        for undo in reversed(_undo):
            undo()
        if isinstance(error, UserError):
            raise UserError(f"Plugin {name}: {error}") from error
        if isinstance(error, ModuleNotFoundError) and error.name == name and Path(f"{name}.py").is_file():
            raise UserError(f"There is no installed module {name}. For the file, give {name}.py.") from error
        what = "it ends Python" if isinstance(error, SystemExit) else class_and_message(error)
        raise UserError(
            f"Plugin {name} can't be loaded ({what}{_line(error)}). Correct it, or leave it out: see --plugin, the "
            f"environment variable {VARIABLE}, and the package that declares it."
        ) from error
    _undo.clear()
    return loaded


def _line(error: BaseException) -> str:
    """Where a plugin's file failed, for its author."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [each for each in frames if "importlib" not in (file := each[0].f_code.co_filename) and file != __file__]
    return f", {line_of(*own[-1])}" if own else ""
