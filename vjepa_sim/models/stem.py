"""Convolutions that halve a picture until its pixels are tokens. From scratch and within an hour, a transformer on them
learns far more than one on a picture that is cut into patches.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from vjepa_sim.checks import check_numbers
from vjepa_sim.envs.errors import UserError

GROUPS = 8  # that channels are normalised in


def make_stem(channels: int, widths: tuple[int, ...], dim: int) -> nn.Sequential:
    """From pictures [B, channels, H, W] to [B, dim, H / 2^N, W / 2^N] over N widths."""
    halvings = [
        nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, o), nn.GELU())
        for i, o in pairwise((channels, *widths))
    ]
    return nn.Sequential(*halvings, nn.Conv2d(widths[-1], dim, 1))


def check_halvings(config: object, name: str) -> None:
    """The named field must hold widths of convolutions, each of which can halve ``config.image_size``."""
    widths, size = getattr(config, name), config.image_size
    check_numbers(config, name, length=len(widths), above=0)
    if not widths or any(width % GROUPS for width in widths):
        raise UserError(f"{type(config).__name__}.{name} is {widths!r}; expected multiples of {GROUPS}.")
    if size % 2 ** len(widths):
        raise UserError(f"A picture of {size} pixels can't be halved {len(widths)} times.")
