"""Frames of an episode that are decoded when they are indexed, wherever they come from."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from vjepa_sim.envs.errors import UserError

MAX_PIXELS = 64_000_000  # of one frame; a header that claims more is damaged


class LazyFrames(ABC):
    """Indexed like an array: ``frames[3]``, ``frames[[0, 4, 8]]``, ``frames[10:20]``.

    Attributes:
        where: how messages name the file and the episode.
        shape: (T, H, W, 3) of what indexing gives.
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, where: str, count: int, height: int, width: int):
        """
        Args:
            where: how messages name the file and the episode.
            count: of frames.
            height, width: of the stored pictures, pixels.

        Raises:
            UserError: no picture can be that large or small.
        """
        if min(height, width) < 1 or height * width > MAX_PIXELS:
            raise UserError(f"{where}: a picture of {width} × {height} pixels; the file is damaged.")
        self.where = where
        self._stored = (height, width)
        self.shape = (count, height, width, 3)

    @property
    def held_bytes(self) -> int:
        """What they keep in memory while nothing is decoded, roughly."""
        return 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: object) -> np.ndarray:
        """Frames by number, slice, or array of numbers, as NumPy would give them.

        Raises:
            UserError: a frame can't be decoded.
            IndexError: there is no such frame.
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

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def reduced(self, short_side: int | None) -> LazyFrames:
        """The same frames, with the shorter side reduced to so many pixels; None means as stored."""
        height, width = self._stored
        scale = 1.0 if short_side is None else min(1.0, short_side / min(height, width))
        other = copy.copy(self)
        other.shape = (len(self), max(1, round(height * scale)), max(1, round(width * scale)), 3)
        return other

    def cut(self, count: int) -> LazyFrames:
        """The first ``count`` frames.

        Raises:
            UserError: there are fewer.
        """
        if not 1 <= count <= len(self):
            raise UserError(f"{self.where}: {len(self)} frames, and {count} were expected.")
        other = copy.copy(self)
        other.shape = (count, *self.shape[1:])
        return other

    @abstractmethod
    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Stored frames uint8 [H, W, 3] with these numbers (sorted, each once), one after another.

        Raises:
            UserError: one can't be decoded.
        """

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        """A stored frame, reduced to the size that is asked for, unless it is already."""
        if frame.shape == self.shape[1:]:
            return frame
        if frame.shape != (*self._stored, 3):
            raise UserError(f"{self.where}: a frame has the shape {frame.shape}, not {(*self._stored, 3)}.")
        from PIL import Image

        size = (self.shape[2], self.shape[1])
        return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
