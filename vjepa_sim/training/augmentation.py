"""Random crops and flips of clips for stage one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """Random resized crop, the same for all frames of a clip, as in the training of V-JEPA 2.

    Attributes:
        scale: Range of the crop's share of the image area.
        aspect: Range of the crop's aspect ratio, width over height.
        flip: Whether half of the clips without an arm are mirrored; actions of an arm would have to be mirrored too.
    """

    scale: tuple[float, float] = (0.3, 1.0)
    aspect: tuple[float, float] = (0.75, 1.35)
    flip: bool = True

    def __call__(self, frames: np.ndarray, has_arm: bool, rng: np.random.Generator) -> np.ndarray:
        """Crop frames uint8 [T, H, W, 3]; they are not resized."""
        height, width = frames.shape[1:3]
        top, left, rows, columns = self._part(height, width, rng)
        part = frames[:, top : top + rows, left : left + columns]
        return part[:, :, ::-1] if self.flip and not has_arm and rng.random() < 0.5 else part

    def _part(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        for _ in range(TRIES):
            area = height * width * rng.uniform(*self.scale)
            aspect = math.exp(rng.uniform(math.log(self.aspect[0]), math.log(self.aspect[1])))
            rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 0 < rows <= height and 0 < columns <= width:
                return int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1)), rows, columns
        rows, columns = min(height, round(width / self.aspect[0])), min(width, round(height * self.aspect[1]))
        return (height - rows) // 2, (width - columns) // 2, rows, columns
