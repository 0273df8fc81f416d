"""Frames of robomimic demos, read on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.formats.hdf5 import find_array, find_group, has, opened
from vjepa_sim.data.frames import MAX_PIXELS, LazyFrames
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

AT_ONCE = 64  # most frames read at a time
BYTES_AT_ONCE = 2**26  # most bytes of them, unless a single one has more


class StoredFrames(LazyFrames):
    """Frames of a file that is opened for each indexing; see :class:`.LazyFrames`."""

    def __init__(
        self, where: str, path: Path, *, first: h5py.Dataset, last: h5py.Dataset | None, upside_down: bool = False
    ):
        """
        Args:
            where: Name of file, episode and camera in messages.
            path: Path of the file.
            first: Array uint8 [N, H, W, 3] of an open file; only its name is kept.
            last: Array of the same shape whose last frame follows, or None.
            upside_down: Whether the first row of a stored image is its lowest.

        Raises:
            UserError: They don't hold such frames.
        """
        for each in (first, last):
            if each is not None and (each.dtype != np.uint8 or each.ndim != 4 or each.shape[3] != 3):
                raise UserError(
                    f"{each.name} has the shape {each.shape} and type {each.dtype}; expected images as uint8, 0 to "
                    f"255, of the shape (N, H, W, 3).{_remedy(each)}"
                )
        if last is not None and last.shape != first.shape:
            raise UserError(f"{last.name} has the shape {last.shape}, {first.name} {first.shape}")
        stored, height, width, _ = (int(side) for side in first.shape)
        if stored * height * width > MAX_PIXELS * 1000:
            raise UserError(f"{first.name} claims the shape {first.shape}; the file is damaged")
        super().__init__(where, stored + (last is not None), height, width)
        self._path, self._first, self._last = path, str(first.name), None if last is None else str(last.name)
        self._count, self._turn = stored, -1 if upside_down else 1
        self._at_once = max(1, min(AT_ONCE, BYTES_AT_ONCE // max(1, 3 * height * width)))

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        with opened(self._path, self.where) as file:
            yield from self._read(find_array(file, self._first), wanted[wanted < self._count])
            if self._last is not None and np.any(wanted >= self._count):
                yield from self._read(find_array(file, self._last), np.array([self._count - 1]))

    def _read(self, frames: h5py.Dataset, wanted: np.ndarray) -> Iterator[np.ndarray]:
        if frames.shape != (self._count, *self._stored, 3) or frames.dtype != np.uint8:
            raise UserError(f"{frames.name} has changed while it was in use")
        for start in range(0, len(wanted), self._at_once):
            part = wanted[start : start + self._at_once]
            for run in np.split(part, np.flatnonzero(np.diff(part) != 1) + 1):
                yield from frames[int(run[0]) : int(run[-1]) + 1][:, :: self._turn]


def _remedy(images: h5py.Dataset) -> str:
    """What to do with images of another type or shape, or ""."""
    if images.dtype.kind == "f":
        return " Store round(255 * image) where they are 0 to 1."
    if images.ndim == 4 and images.shape[1] == 3:
        return " They are channels first: store image.transpose(0, 2, 3, 1)."
    return ""


def demo_frames(demo: h5py.Group, name: str, *, path: Path, where: str, upside_down: bool = False) -> StoredFrames:
    """Frames of all rows: those of ``obs``, and the last one of ``next_obs`` if present.

    Args:
        demo: Group of an open file.
        name: Name of the observation.
        path: Path of the file.
        where: Name of the demo in messages.
        upside_down: See :class:`StoredFrames`.

    Raises:
        UserError: They are missing or not frames.
    """
    first = find_array(find_group(demo, "obs"), name)
    last = find_array(find_group(demo, "next_obs"), name) if has_next(demo) else None
    return StoredFrames(f"{where}, {name}", path, first=first, last=last, upside_down=upside_down)


def has_next(demo: h5py.Group) -> bool:
    """Whether a demo has ``next_obs``, and so a last row."""
    return has(demo, "next_obs")
