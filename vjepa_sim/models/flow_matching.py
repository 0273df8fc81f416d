"""Flow matching (arXiv 2210.02747): straight paths from noise to data."""

from __future__ import annotations

import math

import torch


def between(data: torch.Tensor, noise: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Points on the paths from data to noise.

    Args:
        data: Data, broadcastable to the shape of ``noise``.
        noise: Noise [L, ...].
        levels: Shares of noise [L], 0 to 1; L is any number of dimensions.

    Returns:
        (1 - level) data + level noise, [L, ...].
    """
    share = levels.reshape(*levels.shape, *[1] * (noise.ndim - levels.ndim))
    return (1 - share) * data + share * noise


def waves(levels: torch.Tensor, count: int) -> torch.Tensor:
    """Embed shares of noise [...] by sines and cosines of ``count`` frequencies: [..., 2 count]."""
    angles = levels[..., None] * math.pi * torch.arange(1, count + 1, device=levels.device)
    return torch.cat([angles.sin(), angles.cos()], -1)
