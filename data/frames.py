"""Frames of an episode, decoded when indexed; base class for videos, encoded images and HDF5."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import DTypeLike

from vjepa_sim.envs.errors import UserError

Index = SupportsIndex | slice | Sequence[int] | np.ndarray
MAX_PIXELS = 64_000_000  # largest frame; a header that claims more is damaged


class LazyFrames(ABC):
    """Indexed like an array: ``frames[3]``, ``frames[[0, 4, 8]]``, ``frames[10:20]``.

    Attributes:
        where: Name of file and episode in messages.
        shape: (T, H, W, 3), the shape of all frames after reduction.
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, where: str, count: int, height: int, width: int):
        """
        Args:
            where: Name of file and episode in messages.
            count: Number of frames.
            height, width: Size of the stored images, pixels.

        Raises:
            UserError: No image has such a size.
        """
        if min(height, width) < 1 or height * width > MAX_PIXELS:
            raise UserError(f"{where}: an image of {width} × {height} pixels; the file is damaged.")
        self.where = where
        self._stored = (height, width)
        self.shape = (count, height, width, 3)

    @property
    def held_bytes(self) -> int:
        """Bytes held in memory while nothing is decoded, roughly."""
        return 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> np.ndarray:
        """Frames by number, slice, or array of numbers, as from a NumPy array.

        Raises:
            UserError: A frame can't be decoded.
            IndexError: There is no such frame.
        """
        numbers = np.arange(len(self))[index]
        wanted, place = np.unique(np.atleast_1d(numbers), return_inverse=True)
        try:
            frames = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        except MemoryError as error:
            raise UserError(
                f"{self.where}: {len(wanted)} frames of {self._stored} pixels don't fit in memory."
            ) from error
        for slot, frame in enumerate(self._load(wanted)):
            frames[slot] = self._fitted(frame)
        return frames[place.reshape(np.shape(numbers))]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def reduced(self, short_side: int | None) -> LazyFrames:
        """The same frames, with the shorter side reduced to ``short_side`` pixels; None keeps the stored size."""
        height, width = self._stored
        scale = 1.0 if short_side is None else min(1.0, short_side / min(height, width))
        other = copy.copy(self)
        other.shape = (len(self), max(1, round(height * scale)), max(1, round(width * scale)), 3)
        return other

    def cut(self, count: int) -> LazyFrames:
        """The first ``count`` frames.

        Raises:
            UserError: There are fewer.
        """
        if not 1 <= count <= len(self):
            raise UserError(f"{self.where}: {len(self)} frames; {count} were expected.")
        other = copy.copy(self)
        other.shape = (count, *self.shape[1:])
        return other

    @abstractmethod
    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Stored frames uint8 [H, W, 3] with these numbers (sorted, unique), one after another.

        Raises:
            UserError: A frame can't be decoded.
        """

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        """A stored frame, reduced to the requested size if it doesn't have it."""
        if frame.shape == self.shape[1:]:
            return frame
        if frame.shape != (*self._stored, 3):
            raise UserError(f"{self.where}: a frame has the shape {frame.shape}, not {(*self._stored, 3)}.")
        from PIL import Image

        size = (self.shape[2], self.shape[1])
        return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
