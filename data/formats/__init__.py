"""Formats of robot episodes, by name: recognise, read, write.

A new format is a module with a :class:`.Reader` (and perhaps a :class:`.Writer`) and a function that recognises it, and
one :class:`Format` in :data:`FORMATS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from vjepa_sim.data.formats.format import Entry, Progress, Reader, Writer, no_progress
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry

__all__ = ["FORMATS", "Entry", "Format", "Reader", "Writer", "detect", "open_reader", "open_writer"]


class FormatModule(Protocol):
    """What a format's module has; one that can't be written has no ``open_writer``."""

    def detect(self, path: Path) -> bool:
        """Whether what lies at a path is of this format."""
        ...

    def open_reader(self, path: Path, on_progress: Progress) -> Reader:
        """Open a data set."""
        ...

    def open_writer(self, path: Path) -> Writer:
        """Begin a new data set."""
        ...


@dataclass(frozen=True)
class Format:
    """A format's parts.

    Attributes:
        name: as on the command line.
        title: in words.
        module: see :class:`FormatModule`: its name, imported when it is needed, or the module itself.
        writable: whether it can be written.
    """

    name: str
    title: str
    module: str | FormatModule | ModuleType
    writable: bool = True

    def load(self) -> Any:
        """The module, see :class:`FormatModule`."""
        return import_module(self.module) if isinstance(self.module, str) else self.module


FORMATS: Registry[Format] = Registry("format")
for _format in (
    Format("sim", "our simulator's episodes, in DROID's raw layout", "vjepa_sim.data.formats.sim", writable=False),
    Format("droid", "DROID's raw layout", "vjepa_sim.data.formats.droid"),
    Format("lerobot", "LeRobot v3", "vjepa_sim.data.formats.lerobot"),
    Format("rlds", "RLDS, as TFRecord files", "vjepa_sim.data.formats.rlds", writable=False),
    Format("robomimic", "robomimic's HDF5", "vjepa_sim.data.formats.robomimic"),
):
    FORMATS.register(_format)


def detect(path: Path) -> str:
    """The format of what lies at a path.

    Raises:
        UserError: there is nothing, or nothing known.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no {path}.")
    for name, format in FORMATS.items():
        if format.load().detect(path):
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
        return FORMATS[format or detect(path)].load().open_reader(path, on_progress)
    except UserError as error:
        raise UserError(f"{error}{_hint(path, format)}") from error


def _hint(path: Path, format: str | None) -> str:
    """What a data set that can't be opened as one format looks like otherwise."""
    alike = ("droid", "sim")
    for name, other in FORMATS.items():
        tried = format is None or name == format or (name in alike and format in alike)
        if not tried and path.exists() and other.load().detect(path):
            return f" It looks like {other.title} ({name})."
    return ""


def open_writer(path: Path, format: str) -> Writer:
    """Begin a new data set.

    Raises:
        UserError: the format is unknown or can't be written, or the path exists.
    """
    path = Path(path)
    chosen, writable = FORMATS[format], [name for name, each in FORMATS.items() if each.writable]
    if not chosen.writable:
        raise UserError(f"{chosen.title} can be read, not written. Formats to write: {', '.join(writable)}.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists already. Give a new folder or file.")
    return chosen.load().open_writer(path)
