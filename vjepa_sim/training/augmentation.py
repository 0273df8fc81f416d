"""Random crops and mirror images: stage one sees each clip a little differently every time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """One random part of the picture for a whole clip, as V-JEPA 2 is trained.

    Attributes:
        scale: range of the part's share of the picture.
        aspect: range of its width over its height.
        flip: whether half of the clips without an arm are mirrored; for an arm left and right matter.
    """

    scale: tuple[float, float] = (0.3, 1.0)
    aspect: tuple[float, float] = (0.75, 1.35)
    flip: bool = True

    def __call__(self, frames: np.ndarray, has_arm: bool, rng: np.random.Generator) -> np.ndarray:
        """uint8 [T, H, W, 3] to a part of it, the same in all frames; what resizes it comes after."""
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
