"""Reading HDF5 files that may be damaged: every failure is an error with the file's name, and sizes are checked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

MAX_BYTES = 2**30  # most bytes of an array, and of a chunk of it; a file that claims more is damaged
PATIENCE = 20.0  # s for reading one attribute
READ_TEXT = """
import sys, h5py
with h5py.File(sys.argv[1], "r") as file:
    text = file[sys.argv[2]].attrs.get(sys.argv[3], "")
sys.stdout.buffer.write(text if isinstance(text, bytes) else text.encode())
"""
# Errors that h5py raises for damaged or foreign files.
HDF5_ERRORS = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
)


@contextmanager
def opened(path: Path, where: str) -> Iterator[h5py.File]:
    """An HDF5 file open for reading; the block must do nothing else.

    Args:
        path: Path of the file.
        where: Name of the file in messages.

    Raises:
        UserError: Any error while reading.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except HDF5_ERRORS as error:
        raise UserError(f"{where}: can't be read as HDF5 ({error}). Is it complete?") from error


def find_group(parent: h5py.Group, name: str) -> h5py.Group:
    """A group by name.

    Raises:
        UserError: It is missing or not a group.
    """
    import h5py

    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise UserError(f"no group {name!r} in {parent.name}.")
    return found


def names_in(group: h5py.Group) -> list[str]:
    """Names in a group, in the file's order.

    Raises:
        UserError: A name is not UTF-8.
    """
    return [readable(name) for name in group]  # pyright: ignore[reportArgumentType]  # h5py's stubs allow None


def readable(name: str | bytes) -> str:
    """A name as h5py returns it, which is bytes if it is not UTF-8.

    Raises:
        UserError: It is bytes.
    """
    if isinstance(name, bytes):
        raise UserError(f"the name {name!r} is not UTF-8; the file is damaged.")
    return name


def find_array(group: h5py.Group, name: str) -> h5py.Dataset:
    """An array by name, with chunks of a plausible size.

    Raises:
        UserError: It is missing, not an array, or has chunks of more than :data:`MAX_BYTES`.
    """
    import h5py

    if name not in group:
        raise UserError(f"no {name}; {group.name} holds {', '.join(sorted(names_in(group))) or 'nothing'}")
    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise UserError(f"{group.name}/{name} is not an array")
    chunk = 1 if found.chunks is None else int(np.prod([int(side) for side in found.chunks], dtype=object))
    if chunk * found.dtype.itemsize > MAX_BYTES:
        raise UserError(f"{group.name}/{name} claims chunks of the shape {found.chunks}; the file is damaged")
    return found


def numbers(group: h5py.Group, name: str, rows: int | None = None) -> np.ndarray:
    """An array of numbers by name, as stored.

    Args:
        group: Group of the array.
        name: Name of the array.
        rows: Expected number of rows, or None for any.

    Raises:
        UserError: It is missing, holds no numbers, or has another size.
    """
    found = find_array(group, name)
    if found.dtype.kind not in "biufc":
        raise UserError(f"{group.name}/{name} holds {found.dtype}, not numbers")
    if found.size * found.dtype.itemsize > MAX_BYTES:
        raise UserError(f"{group.name}/{name} claims the shape {found.shape}; the file is damaged")
    if found.ndim == 0 or (rows is not None and found.shape[0] != rows):
        raise UserError(f"{group.name}/{name} has the shape {found.shape}; expected {rows or 'some'} rows")
    return found[()]


def text(group: h5py.Group, name: str) -> bytes:
    """A text by name, stored as an array ``[1]`` of bytes.

    Raises:
        UserError: It is missing or not a text.
    """
    found = find_array(group, name)
    if found.dtype.kind != "S" or found.shape != (1,) or found.dtype.itemsize > MAX_BYTES:
        raise UserError(f"{group.name}/{name} is not a text")
    return bytes(found[0])


def attribute_text(path: Path, group: str, name: str) -> bytes:
    """A text attribute; empty if it is missing.

    It is read in another process: texts of variable length are in HDF5's global heap, and if that is damaged, libhdf5
    (2.0 still) loops for ever and can't be interrupted.

    Raises:
        UserError: The file is damaged, or the attribute is not a text.
    """
    command = [sys.executable, "-P", "-c", READ_TEXT, str(path), group, name]
    try:
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True).stdout
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{path}: reading the attribute {name} of {group} doesn't end; the file is damaged.") from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"{path}: the attribute {name} of {group} can't be read ({error}).") from error
