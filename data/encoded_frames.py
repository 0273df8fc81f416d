"""Frames kept in memory as JPEG or PNG images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.data.image import open_image, to_rgb, upright_size
from vjepa_sim.envs.errors import UserError

KINDS = ("JPEG", "PNG")


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
        super().__init__(where, len(images), *upright_size(open_image(images[0], f"{where}, frame 0", KINDS)))

    @property
    def held_bytes(self) -> int:
        """Bytes of all encoded images."""
        return sum(len(image) for image in self._images)

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        for number in wanted:
            where = f"{self.where}, frame {number}"
            image = open_image(self._images[number], where, KINDS)
            size = upright_size(image)
            if size != self._stored:
                raise UserError(f"{where}: {size[1]} × {size[0]} pixels; the first frame has {self._stored[::-1]}.")
            yield np.asarray(to_rgb(image, where))
