"""From a camera's picture to the encoder's input: one transform, stored in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.envs.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CROPS = {"square": 1.0, "released": 1.35}  # largest aspect that is kept; the second is V-JEPA 2-AC's


@dataclass(frozen=True)
class ImageTransform:
    """Centre crop, resize, normalise.

    Attributes:
        size: height and width of the result in pixels.
        max_aspect: a picture wider (or taller) than this ratio loses its sides; what is left is squashed to a square.
            1.0 keeps a centred square; 1.35 is what the released V-JEPA 2-AC was trained with.
        mean, std: of red, green and blue in 0..1.
    """

    size: int
    max_aspect: float = 1.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        check_positive(self, "size")
        check_numbers(self, "max_aspect", above=0)
        check_numbers(self, "mean", length=3)
        check_numbers(self, "std", length=3, above=0)

    def __call__(self, rgb: np.ndarray | torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, 3] to normalised float32 [B, 3, size, size].

        Raises:
            UserError: the input has another type or shape, or is smaller than the model's own.
        """
        images = torch.as_tensor(rgb)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise UserError(f"Images must be uint8 [B, H, W, 3]; given {images.dtype} {tuple(images.shape)}.")
        if min(images.shape[1:3]) < self.size:
            raise UserError(
                f"Images of {images.shape[1]} × {images.shape[2]} pixels are smaller than the {self.size} that this "
                f"model sees; give it larger ones (`--size {self.size}` or more)."
            )
        return self.fit(images)

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, 3], also smaller than the result, cropped, to normalised float32 [B, 3, size, size]."""
        return self.squash(self._crop(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))

    def squash(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, 3] of any size, whole, to normalised float32 [B, 3, size, size]."""
        x = self._resize(images.permute(0, 3, 1, 2).float() / 255)
        return (x - self._channels(self.mean, x)) / self._channels(self.std, x)

    def invert(self, x: torch.Tensor) -> np.ndarray:
        """Normalised [B, 3, size, size] back to uint8 [B, size, size, 3], for pictures to look at."""
        x = x * self._channels(self.std, x) + self._channels(self.mean, x)
        return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

    def _crop(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        new_width = min(width, round(height * self.max_aspect))
        new_height = min(height, round(width * self.max_aspect))
        top, left = (height - new_height) // 2, (width - new_width) // 2
        return x[..., top : top + new_height, left : left + new_width]

    def _resize(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        if (height, width) == (self.size, self.size):
            return x
        if height == width and height % self.size == 0:
            return avg_pool2d(x, height // self.size)  # as the simulated camera makes its small pictures
        return interpolate(x, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)

    @staticmethod
    def _channels(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
