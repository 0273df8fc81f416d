"""A small image tokeniser, as in latent video models: a convolutional autoencoder with a narrow bottleneck."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from vjepa_sim.checks import check_positive
from vjepa_sim.models.convolutional_stem import GROUPS, check_halvings
from vjepa_sim.models.interfaces import ImageEncoder

CHANNELS_LAST = torch.channels_last  # convolutions train 1.4 times as fast with it on a CPU


@dataclass(frozen=True)
class TokeniserConfig:
    """Sizes of the tokeniser.

    Attributes:
        image_size: Height and width of the input in pixels.
        widths: Widths of convolutions, each of which halves the resolution.
        dim: Channels of the latents.
        kind: Kind of encoder on a card.
    """

    image_size: int = 128
    widths: tuple[int, ...] = (16, 48, 96)
    dim: int = 8
    kind: Literal["tokeniser"] = "tokeniser"

    def __post_init__(self) -> None:
        check_positive(self, "image_size", "dim")
        check_halvings(self, "widths")

    @property
    def grid(self) -> int:
        """Tokens along one side of an image."""
        return self.image_size >> len(self.widths)

    @property
    def tokens(self) -> int:
        """Tokens per image."""
        return self.grid**2


class Residual(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform x [B, width, H, W]; the result has its shape."""
        return x + self.layers(x)


class TokeniserEncoder(ImageEncoder):
    """Images to latents whose channels have mean 0 and deviation 1 over the data.

    Attributes:
        config: Sizes of the tokeniser.
    """

    def __init__(self, config: TokeniserConfig):
        super().__init__()
        self.config = config
        halvings = [
            nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), Residual(o))
            for i, o in pairwise((3, *config.widths))
        ]
        self.layers = nn.Sequential(
            *halvings, nn.Conv2d(config.widths[-1], config.dim, 1), nn.BatchNorm2d(config.dim, affine=False)
        )
        _put_channels_last(self.layers)

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Encode normalised images [B, 3, H, W] into [B, tokens, dim]."""
        return self.layers(images.contiguous(memory_format=CHANNELS_LAST)).flatten(2).transpose(1, 2)


def _put_channels_last(layers: nn.Module) -> None:
    """Lay out the weights of convolutions with their channels last."""
    for weight in layers.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=CHANNELS_LAST)


def _last_width(config: TokeniserConfig) -> int:
    """Channels of the decoder's last feature map, at full resolution."""
    return max(GROUPS, config.widths[0] // 2 // GROUPS * GROUPS)


class TokeniserDecoder(nn.Module):
    """Latents to images."""

    def __init__(self, config: TokeniserConfig):
        super().__init__()
        self._grid = config.grid
        widths = config.widths[::-1]
        doublings = [
            nn.Sequential(
                nn.Upsample(scale_factor=2), nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(GROUPS, o), nn.SiLU()
            )
            for i, o in pairwise((*widths, _last_width(config)))
        ]
        last = _last_width(config)
        self.layers = nn.Sequential(
            nn.Conv2d(config.dim, widths[0], 3, padding=1),
            Residual(widths[0]),
            *doublings,
            nn.Conv2d(last, 3, 3, padding=1),
        )
        _put_channels_last(self.layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents [B, tokens, dim] to normalised images [B, 3, H, W]."""
        return self.layers(z.transpose(1, 2).unflatten(2, (self._grid, self._grid)))
