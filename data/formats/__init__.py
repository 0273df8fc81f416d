"""Formats of robot episodes, by name: recognise, read, write.

A new format is a module with a :class:`~data.formats.format.Reader` (and perhaps a
:class:`~data.formats.format.Writer`) and a function that recognises it, and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from data.formats.format import Entry, Progress, Reader, Writer, no_progress
from envs.errors import UserError, unknown_name

__all__ = ["FORMATS", "Entry", "Format", "Reader", "Writer", "detect", "open_reader", "open_writer"]


@dataclass(frozen=True)
class Format:
    """A format's parts, imported when they are needed.

    Attributes:
        title: in words.
        module: it has ``detect(path) -> bool`` and ``open_reader(path, on_progress) -> Reader`` and, if the format can
            be written, ``open_writer(path) -> Writer``.
        writable: whether it can.
    """

    title: str
    module: str
    writable: bool = True


FORMATS = {
    "sim": Format("our simulator's episodes, in DROID's raw layout", "data.formats.sim", writable=False),
    "droid": Format("DROID's raw layout", "data.formats.droid"),
    "lerobot": Format("LeRobot v3", "data.formats.lerobot"),
    "rlds": Format("RLDS, as TFRecord files", "data.formats.rlds", writable=False),
    "robomimic": Format("robomimic's HDF5", "data.formats.robomimic"),
}


def detect(path: Path) -> str:
    """The format of what lies at a path.

    Raises:
        UserError: there is nothing, or nothing known.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no {path}.")
    for name, format in FORMATS.items():
        if import_module(format.module).detect(path):
            return name
    raise UserError(
        f"{path} is no data set that vjepa-sim knows. It looks for "
        + "; ".join(f"{format.title} ({name})" for name, format in FORMATS.items())
        + "."
    )


def open_reader(path: Path, format: str | None = None, on_progress: Progress = no_progress) -> Reader:
    """Open a data set.

    Args:
        path: its folder or file.
        format: its name in :data:`FORMATS`, or None to find out.
        on_progress: called with the numbers of episodes looked at and to look at, while an index is made.

    Raises:
        UserError: the format is unknown, or the path holds nothing of it.
    """
    path = Path(path)
    try:
        return _module(format or detect(path)).open_reader(path, on_progress)
    except UserError as error:
        raise UserError(f"{error}{_hint(path, format)}") from error


def _hint(path: Path, format: str | None) -> str:
    """What a data set that can't be opened as one format looks like otherwise."""
    alike = ("droid", "sim")
    for name, other in FORMATS.items():
        tried = format is None or name == format or (name in alike and format in alike)
        if not tried and path.exists() and import_module(other.module).detect(path):
            return f" It looks like {other.title} ({name})."
    return ""


def open_writer(path: Path, format: str) -> Writer:
    """Begin a new data set.

    Raises:
        UserError: the format is unknown or can't be written, or the path exists.
    """
    path = Path(path)
    writable = [name for name, each in FORMATS.items() if each.writable]
    if format in FORMATS and not FORMATS[format].writable:
        raise UserError(f"{FORMATS[format].title} can be read, not written. Formats to write: {', '.join(writable)}.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists already. Give a new folder or file.")
    return _module(format).open_writer(path)


def _module(name: str) -> Callable:
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    return import_module(FORMATS[name].module)
