"""Reading HDF5 files that may be damaged or malicious: every failure is an error with the file's name, sizes are
checked, and nothing outside of the file is read: no links to other files, no data stored in other files.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

MAX_BYTES = 2**28  # most bytes of an array, and of a chunk of it; a file that claims more is damaged
MAX_ROWS = 1_000_000  # most rows of an episode: 18 hours at 15 Hz
MAX_LINKS = 8  # most links within a file on the way to an object
MAX_TEXT = 2**24  # most bytes of a text
PATIENCE = 20.0  # s for reading one attribute
READ_TEXTS = """
import json, sys, h5py
path, group, most, *names = sys.argv[1:]
with h5py.File(path, "r") as file:
    attributes = file[group].attrs
    found = {name: attributes[name] for name in names if name in attributes}
found = {name: each.decode() if isinstance(each, bytes) else str(each) for name, each in found.items()}
if sum(map(len, found.values())) > int(most):
    raise SystemExit("too long")
print(json.dumps(found))
"""
log = logging.getLogger(__name__)
_warned: set[str] = set()  # names of arrays
CUT_OFF = re.compile(r"truncated file: eof = (\d+).*stored_eof = (\d+)")
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
        if path.exists() and not path.is_file():
            raise UserError("expected a file; this is a folder or a pipe.")
        with h5py.File(path, "r") as file:
            yield file
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except HDF5_ERRORS as error:
        raise UserError(f"{where}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if match := CUT_OFF.search(text):
        have, whole = (int(number) for number in match.groups())
        return f"the file is cut off: {have:,} of {whole:,} bytes. Download or copy it again."
    if isinstance(error, BlockingIOError) or "unable to lock file" in text:
        return "another program has the file open for writing. Close it there, and try again."
    if "consistency flags" in text or "already open for write" in text:
        return "the file is still being written, or its writer didn't close it; `h5clear -s FILE` marks it as closed."
    return f"can't be read as HDF5 ({error}). Is it complete?"


def has(group: h5py.Group, name: str) -> bool:
    """Whether a group has an object with a path.

    Raises:
        UserError: A link on the way leaves the file.
    """
    return _find(group, name) is not None


def has_group(group: h5py.Group, name: str) -> bool:
    """Whether a group has a group with a path; see :func:`has`."""
    import h5py

    return isinstance(_find(group, name), h5py.Group)


def _find(group: h5py.Group, name: str, links: int = 0) -> h5py.HLObject | None:
    """An object by its path, or None; links within the file are followed."""
    import h5py
    from h5py import h5l  # pyright: ignore[reportAttributeAccessIssue]

    found: h5py.HLObject = group
    for part in filter(None, name.split("/")):
        if not isinstance(found, h5py.Group):
            return None
        inside = found.id.links
        if not inside.exists(part.encode()):
            return None
        kind = inside.get_info(part.encode()).type
        if kind == h5l.TYPE_HARD:
            found = found[part]
            continue
        if kind != h5l.TYPE_SOFT or links == MAX_LINKS:
            fault = "a link to another file" if kind == h5l.TYPE_EXTERNAL else "a link without an end"
            raise UserError(f"{found.name}/{part} is {fault}, which isn't followed; copy its content into this file")
        target = inside.get_val(part.encode()).decode()
        linked = _find(found.file if target.startswith("/") else found, target, links + 1)
        if linked is None:
            return None
        found = linked
    return found


def find_group(parent: h5py.Group, name: str) -> h5py.Group:
    """A group by name.

    Raises:
        UserError: It is missing, not a group, or in another file.
    """
    import h5py

    found = _find(parent, name)
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
    """An array by name, stored in the file itself, with chunks of a plausible size.

    Raises:
        UserError: It is missing, not an array, in another file, or has chunks of more than :data:`MAX_BYTES`.
    """
    import h5py

    found = _find(group, name)
    if found is None:
        raise UserError(f"no {name}; {group.name} holds {', '.join(sorted(names_in(group))) or 'nothing'}")
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise UserError(f"{group.name}/{name} is not an array")
    if found.external or found.is_virtual:
        raise UserError(
            f"{group.name}/{name} is made of parts of other files, which aren't read; copy its content into this file"
        )
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
    if found.ndim == 0 or (rows is not None and found.shape[0] != rows):
        raise UserError(f"{group.name}/{name} has the shape {found.shape}; expected {rows or 'some'} rows")
    if found.size * found.dtype.itemsize > MAX_BYTES or found.shape[0] > MAX_ROWS:
        raise UserError(f"{group.name}/{name} claims the shape {found.shape}; the file is damaged")
    return found[()]


def spare_numbers(group: h5py.Group, names: Iterable[str], rows: int | None = None) -> dict[str, np.ndarray]:
    """Arrays of numbers that nothing depends on, by name. What doesn't fit is left out, with a warning once a name.

    Args:
        group: Group of the arrays.
        names: Names of arrays.
        rows: See :func:`numbers`.

    Raises:
        UserError: Together they claim more than :data:`MAX_BYTES`.
    """
    found: dict[str, np.ndarray] = {}
    claimed = 0
    for name in names:
        try:
            claimed += find_array(group, name).nbytes
            if claimed <= MAX_BYTES:
                found[name] = numbers(group, name, rows)
        except UserError as error:
            _warn_once(name, f"{group.file.filename}: {error}")
    if claimed > MAX_BYTES:
        raise UserError(f"its arrays claim {claimed / 2**20:,.0f} MB; {MAX_BYTES // 2**20} MB is the most")
    return found


def _warn_once(name: str, reason: str) -> None:
    if name not in _warned:
        _warned.add(name)
        log.warning("%s. The array is left out; others of this name, too, without a warning.", reason)


def floats(group: h5py.Group, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of real numbers by name, as float64.

    Args:
        group: Group of the array.
        name: Name of the array.
        shape: Expected shape; None for sides of any length up to 64.

    Raises:
        UserError: It is missing, holds no such numbers, or has another shape.
    """
    found = find_array(group, name)
    fits = len(found.shape) == len(shape) and all(
        side == wanted if wanted is not None else side <= 64 for side, wanted in zip(found.shape, shape, strict=True)
    )
    if found.dtype.kind not in "biuf" or not fits:
        wanted = ", ".join("any" if side is None else str(side) for side in shape)
        raise UserError(
            f"{group.name}/{name} has the shape {found.shape} of {found.dtype}; expected numbers ({wanted})"
        )
    return numbers(group, name).astype(np.float64)


def text(group: h5py.Group, name: str) -> bytes:
    """A text by name, stored as an array ``[1]`` of bytes.

    Raises:
        UserError: It is missing or not a text.
    """
    found = find_array(group, name)
    if found.dtype.kind != "S" or found.shape != (1,) or found.dtype.itemsize > MAX_TEXT:
        raise UserError(f"{group.name}/{name} is not a text")
    return bytes(found[0])


def attribute_texts(path: Path, group: str, names: tuple[str, ...]) -> dict[str, str]:
    """Text attributes by name; without those that are missing.

    They are read in another process: texts of variable length are in HDF5's global heap, and if that is damaged,
    libhdf5 (2.0 still) loops for ever and can't be interrupted.

    Args:
        path: Path of the file.
        group: Name of a group that is no link.
        names: Names of the attributes.

    Raises:
        UserError: The file is damaged, or the texts are longer than :data:`MAX_TEXT`.
    """
    command = [sys.executable, "-P", "-c", READ_TEXTS, str(path), group, str(MAX_TEXT), *names]
    try:
        return json.loads(subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True).stdout)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{path}: reading the attributes of {group} doesn't end; the file is damaged.") from error
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UserError(f"{path}: the attributes {', '.join(names)} of {group} can't be read.") from error
