"""The transform from camera images to the encoder's input, stored in every checkpoint."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.envs.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CROPS = {"square": 1.0, "released": 1.35}  # largest aspect ratio that is kept; that of V-JEPA 2-AC is "released"


@dataclass(frozen=True)
class ImageTransform:
    """Centre crop, resize to a square, normalise.

    Attributes:
        size: Height and width of the result in pixels.
        max_aspect: Largest aspect ratio; wider (or taller) images are cropped to it before they are resized to a
            square. 1.0 crops to a centred square; the released V-JEPA 2-AC was trained with 1.35.
        antialias: Whether images are smoothed before they are reduced. Meta's code doesn't, so released models were
            trained without.
        mean, std: Mean and standard deviation of red, green and blue, in 0..1.
    """

    size: int
    max_aspect: float = 1.0
    _: KW_ONLY
    antialias: bool = True
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        check_positive(self, "size")
        check_numbers(self, "max_aspect", above=0)
        if not isinstance(self.antialias, bool):
            raise UserError(f"ImageTransform.antialias is {self.antialias!r}; expected true or false.")
        check_numbers(self, "mean", length=3)
        check_numbers(self, "std", length=3, above=0)

    def __call__(self, rgb: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Crop, resize and normalise images.

        Args:
            rgb: Images, uint8 [B, H, W, 3].

        Returns:
            Normalised images, float32 [B, 3, size, size].

        Raises:
            UserError: The input has another type or shape, or is smaller than ``size``.
        """
        images = torch.as_tensor(rgb)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise UserError(f"Images must be uint8 [B, H, W, 3]; given {images.dtype} {tuple(images.shape)}.")
        if min(images.shape[1:3]) < self.size:
            raise UserError(
                f"Images of {images.shape[1]} × {images.shape[2]} pixels are smaller than the {self.size} that this "
                f"model needs; give larger ones (`--size {self.size}` or more)."
            )
        return self.fit(images)

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Crop, resize and normalise uint8 [B, H, W, 3] of any size to float32 [B, 3, size, size]."""
        return self.squash(self._crop(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))

    def squash(self, images: torch.Tensor) -> torch.Tensor:
        """Resize and normalise uint8 [B, H, W, 3] of any size, without a crop, to float32 [B, 3, size, size]."""
        x = self._resize(images.permute(0, 3, 1, 2).float() / 255)
        return (x - self._channels(self.mean, x)) / self._channels(self.std, x)

    def invert(self, x: torch.Tensor) -> np.ndarray:
        """Convert normalised images [B, 3, size, size] back to uint8 [B, size, size, 3], for display."""
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
        if self.antialias and height == width and height % self.size == 0:
            return avg_pool2d(x, height // self.size)  # as the simulated camera reduces its images
        size = (self.size, self.size)
        return interpolate(x, size, mode="bilinear", antialias=self.antialias, align_corners=False)

    @staticmethod
    def _channels(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
