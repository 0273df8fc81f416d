"""HDF5 files that may be damaged: every failure is an error that names them, no claimed size is believed."""

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

MAX_BYTES = 2**30  # of one array, and of one chunk of it; a file that claims more is damaged
PATIENCE = 20.0  # s for reading one text
READ_TEXT = """
import sys, h5py
with h5py.File(sys.argv[1], "r") as file:
    text = file[sys.argv[2]].attrs.get(sys.argv[3], "")
sys.stdout.buffer.write(text if isinstance(text, bytes) else text.encode())
"""
# What a damaged or foreign file makes h5py raise.
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
    """An HDF5 file to read; only reading belongs inside.

    Args:
        path: of the file.
        where: how messages name it.

    Raises:
        UserError: whatever goes wrong in it.
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
        UserError: it is missing or something else.
    """
    import h5py

    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise UserError(f"no group {name!r} in {parent.name}.")
    return found


def find_array(group: h5py.Group, name: str) -> h5py.Dataset:
    """A data set by name, of a size that can be believed.

    Raises:
        UserError: it is missing, something else, or absurdly large.
    """
    import h5py

    if name not in group:
        raise UserError(f"no {name}; {group.name} holds {', '.join(sorted(group)) or 'nothing'}")
    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise UserError(f"{group.name}/{name} is no array")
    chunk = 1 if found.chunks is None else int(np.prod([int(side) for side in found.chunks], dtype=object))
    if chunk * found.dtype.itemsize > MAX_BYTES:
        raise UserError(f"{group.name}/{name} claims chunks of the shape {found.chunks}; the file is damaged")
    return found


def numbers(group: h5py.Group, name: str, rows: int | None = None) -> np.ndarray:
    """An array of numbers by name, as it is stored.

    Args:
        group: where it lies.
        name: its own.
        rows: how many it must have, or None if that isn't known yet.

    Raises:
        UserError: it is missing, something else, or of another size.
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
    """A text by name, of a data set ``[1]`` of bytes.

    Raises:
        UserError: it is missing or something else.
    """
    found = find_array(group, name)
    if found.dtype.kind != "S" or found.shape != (1,) or found.dtype.itemsize > MAX_BYTES:
        raise UserError(f"{group.name}/{name} is no text")
    return bytes(found[0])


def attribute_text(path: Path, group: str, name: str) -> bytes:
    """An attribute that is a text; empty if there is none.

    It is read by another process: texts of variable length lie in HDF5's global heap, and where that is damaged,
    libhdf5 (2.0 still) goes round for ever and can't be interrupted.

    Raises:
        UserError: the file is damaged, or the attribute something else.
    """
    command = [sys.executable, "-P", "-c", READ_TEXT, str(path), group, name]
    try:
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True).stdout
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{path}: reading the attribute {name} of {group} doesn't end; the file is damaged.") from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"{path}: the attribute {name} of {group} can't be read ({error}).") from error
