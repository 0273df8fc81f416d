"""Convolutional stem of a transformer: it halves an image's resolution until each pixel is a token.

Within an hour of training from scratch, a transformer on this stem learns far more than one on patches.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

from torch import nn

from vjepa_sim.checks import check_numbers
from vjepa_sim.envs.errors import UserError

GROUPS = 8  # groups of channels in a group norm


class ImageConfig(Protocol):
    """Sizes of a network that takes images."""

    @property
    def image_size(self) -> int:
        """Height and width of the input in pixels."""
        ...


def make_stem(channels: int, widths: tuple[int, ...], dim: int) -> nn.Sequential:
    """Make a stem from images [B, channels, H, W] to [B, dim, H / 2^N, W / 2^N], given N widths."""
    halvings = [
        nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, o), nn.GELU())
        for i, o in pairwise((channels, *widths))
    ]
    return nn.Sequential(*halvings, nn.Conv2d(widths[-1], dim, 1))


def check_halvings(config: ImageConfig, name: str) -> None:
    """Check a field with the widths of convolutions, each of which halves ``config.image_size``.

    Raises:
        UserError: A width isn't a multiple of :data:`GROUPS`, or the image size can't be halved that often.
    """
    widths, size = getattr(config, name), config.image_size
    check_numbers(config, name, length=len(widths), above=0)
    if not widths or any(width % GROUPS for width in widths):
        raise UserError(f"{type(config).__name__}.{name} is {widths!r}; expected multiples of {GROUPS}.")
    if size % 2 ** len(widths):
        raise UserError(f"An image of {size} pixels can't be halved {len(widths)} times.")
