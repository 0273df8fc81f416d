"""Frames kept in memory as JPEG or PNG images."""

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
# Errors that Pillow raises for damaged images.
IMAGE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)


class EncodedFrames(LazyFrames):
    """Frames kept as they were encoded, and decoded when indexed; see :class:`.LazyFrames`."""

    def __init__(self, where: str, images: list[bytes]):
        """
        Args:
            where: Name of file, episode and camera in messages.
            images: T images of one size, JPEG or PNG.

        Raises:
            UserError: There are none, or the first is not an image.
        """
        if not images:
            raise UserError(f"{where}: there are no images.")
        self._images = images
        width, height = _open(images[0], f"{where}, frame 0").size
        super().__init__(where, len(images), height, width)

    @property
    def held_bytes(self) -> int:
        """Bytes of all encoded images."""
        return sum(len(image) for image in self._images)

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        for number in wanted:
            where = f"{self.where}, frame {number}"
            image = _open(self._images[number], where)
            if image.size != self._stored[::-1]:
                raise UserError(f"{where}: {image.size} pixels; the first frame has {self._stored[::-1]}.")
            try:
                yield np.asarray(image.convert("RGB"))
            except (*IMAGE_ERRORS, MemoryError) as error:
                raise UserError(f"{where}: the image can't be decoded ({error}).") from error


def _open(encoded: bytes, where: str) -> Image.Image:
    """An image of which only the header has been read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():  # large images are refused below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(encoded), formats=KINDS)
    except (*IMAGE_ERRORS, Image.DecompressionBombError) as error:
        raise UserError(f"{where}: not a JPEG or PNG image ({error}).") from error
    if image.width * image.height > MAX_PIXELS:
        raise UserError(f"{where}: an image of {image.width} × {image.height} pixels; it is damaged.")
    return image
