"""Formats of robot episodes: detection, reading and writing, by name.

A new format is a module as in :class:`FormatModule`, and one :class:`Format` registered in :data:`FORMATS`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from vjepa_sim.data.formats.format import Entry, Progress, Reader, Writer, no_progress
from vjepa_sim.data.formats.hdf5_layouts import describe_layout, is_hdf5
from vjepa_sim.data.walk import find_files
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.registry import Registry

HDF5_SUFFIXES = (".hdf5", ".h5")

__all__ = ["FORMATS", "Entry", "Format", "Reader", "Writer", "detect", "open_reader", "open_writer"]


class FormatModule(Protocol):
    """The functions of a format's module; a read-only format has no ``open_writer``."""

    def detect(self, path: Path) -> bool:
        """Whether a file or folder is a data set in this format."""
        ...

    def open_reader(self, path: Path, on_progress: Progress) -> Reader:
        """Open a data set for reading."""
        ...

    def open_writer(self, path: Path) -> Writer:
        """Begin a new data set."""
        ...


@dataclass(frozen=True)
class Format:
    """A registered format.

    Attributes:
        name: Name on the command line.
        title: Name in messages.
        module: A :class:`FormatModule`, or its import name, imported when needed.
        writable: Whether the format can be written.
        one_file: Whether a data set is one file, not a folder.
    """

    name: str
    title: str
    module: str | FormatModule | ModuleType
    _: KW_ONLY
    writable: bool = True
    one_file: bool = False

    def load(self) -> Any:
        """The imported module, see :class:`FormatModule`.

        Raises:
            UserError: it can't be imported.
        """
        if not isinstance(self.module, str):
            return self.module
        try:
            return import_module(self.module)
        except ImportError as error:
            raise UserError(f"Format {self.name!r}: its module {self.module} can't be imported ({error}).") from error

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder is a data set in this format.

        Raises:
            UserError: the format's own code fails.
        """
        detect = self.load().detect
        with naming_part(f"Format {self.name!r}", detect):
            return bool(detect(path))


FORMATS: Registry[Format] = Registry("format", Format)
for _format in (
    Format("sim", "our simulator's episodes, in DROID's raw layout", "vjepa_sim.data.formats.sim", writable=False),
    Format("droid", "DROID's raw layout", "vjepa_sim.data.formats.droid"),
    Format("lerobot", "LeRobot v3", "vjepa_sim.data.formats.lerobot"),
    Format("rlds", "RLDS, as TFRecord files", "vjepa_sim.data.formats.rlds", writable=False),
    Format("robomimic", "robomimic's HDF5", "vjepa_sim.data.formats.robomimic", one_file=True),
):
    FORMATS.register(_format)


def detect(path: Path) -> str:
    """The format of a file or folder.

    Raises:
        UserError: The path doesn't exist, or is in no known format.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no {path}.")
    for name, format in FORMATS.items():
        if format.recognises(path):
            return name
    known = "; ".join(f"{format.title} ({name})" for name, format in FORMATS.items())
    raise UserError(f"{path} is not a data set in a known format{_other_kind(path)}. Known formats: {known}.")


def _other_kind(path: Path) -> str:
    """What a file or folder in no known format is instead, or ""."""
    if is_hdf5(path):
        return f": {describe_layout(path).rstrip('.')}"
    if path.is_file():
        what = ", although its name ends so" if path.suffix.lower() in HDF5_SUFFIXES else ""
        return f": a file of {path.stat().st_size:,} bytes that isn't HDF5{what}"
    inside = find_files(path, HDF5_SUFFIXES)
    return f": it has HDF5 files, each of which may be a data set; give one, such as {inside[0]}" if inside else ""


def open_reader(path: Path, format: str | None = None, on_progress: Progress = no_progress) -> Reader:
    """Open a data set for reading.

    Args:
        path: Folder or file of the data set.
        format: Name in :data:`FORMATS`, or None to detect it.
        on_progress: Called with the number of episodes examined and the total to examine, while an index is built.

    Raises:
        UserError: The format is unknown, or the path is no such data set.
    """
    path = Path(path)
    try:
        chosen = FORMATS[format or detect(path)]
        open_it = chosen.load().open_reader
        with naming_part(f"Format {chosen.name!r}", open_it):
            return open_it(path, on_progress)
    except UserError as error:
        raise UserError(f"{error}{_hint(path, format)}") from error


def _hint(path: Path, format: str | None) -> str:
    """A sentence with the format that a data set seems to have instead, or ""."""
    alike = ("droid", "sim")
    for name, other in FORMATS.items():
        tried = format is None or name == format or (name in alike and format in alike)
        if not tried and path.exists() and other.recognises(path):
            return f" It looks like {other.title} ({name})."
    return ""


def open_writer(path: Path, format: str) -> Writer:
    """Begin a new data set.

    Raises:
        UserError: The format is unknown or can't be written, or the path exists.
    """
    path = Path(path)
    chosen, writable = FORMATS[format], [name for name, each in FORMATS.items() if each.writable]
    if not chosen.writable:
        raise UserError(f"{chosen.title} can be read, but not written. Writable formats: {', '.join(writable)}.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists already. Give a new folder or file.")
    return chosen.load().open_writer(path)
