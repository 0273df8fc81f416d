"""Frames that are kept as JPEG or PNG, one after another."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.frames import MAX_PIXELS, LazyFrames
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

KINDS = ("JPEG", "PNG")
# What a damaged picture makes Pillow raise.
PICTURE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)


class EncodedFrames(LazyFrames):
    """Frames in memory as they were encoded, decoded when they are indexed; see :class:`LazyFrames`."""

    def __init__(self, where: str, pictures: list[bytes]):
        """
        Args:
            where: how messages name the file, the episode and the camera.
            pictures: T pictures of one size, JPEG or PNG.

        Raises:
            UserError: there are none, or the first isn't a picture.
        """
        if not pictures:
            raise UserError(f"{where}: there are no pictures.")
        self._pictures = pictures
        width, height = _open(pictures[0], f"{where}, frame 0").size
        super().__init__(where, len(pictures), height, width)

    @property
    def held_bytes(self) -> int:
        """All pictures, as they were encoded."""
        return sum(len(picture) for picture in self._pictures)

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        for number in wanted:
            where = f"{self.where}, frame {number}"
            picture = _open(self._pictures[number], where)
            if picture.size != self._stored[::-1]:
                raise UserError(f"{where}: {picture.size} pixels, and the first one has {self._stored[::-1]}.")
            try:
                yield np.asarray(picture.convert("RGB"))
            except (*PICTURE_ERRORS, MemoryError) as error:
                raise UserError(f"{where}: the picture can't be decoded ({error}).") from error


def _open(picture: bytes, where: str) -> Image.Image:
    """A picture of which only the header has been read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():  # Pillow's warning of large pictures; they are refused below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(picture), formats=KINDS)
    except (*PICTURE_ERRORS, Image.DecompressionBombError) as error:
        raise UserError(f"{where}: no JPEG or PNG ({error}).") from error
    if image.width * image.height > MAX_PIXELS:
        raise UserError(f"{where}: a picture of {image.width} × {image.height} pixels; it is damaged.")
    return image
