"""Flow matching (arXiv 2210.02747): noise is led to data along straight lines."""

from __future__ import annotations

import math

import torch


def between(data: torch.Tensor, noise: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Points on the lines from data to noise.

    Args:
        data: of noise's shape, or one that broadcasts to it.
        noise: [*levels' shape, ...].
        levels: shares of noise, 0 to 1.

    Returns:
        Of noise's shape.
    """
    share = levels.reshape(*levels.shape, *[1] * (noise.ndim - levels.ndim))
    return (1 - share) * data + share * noise


def waves(levels: torch.Tensor, count: int) -> torch.Tensor:
    """Shares of noise [...] as a network sees them: [..., 2 count]."""
    angles = levels[..., None] * math.pi * torch.arange(1, count + 1, device=levels.device)
    return torch.cat([angles.sin(), angles.cos()], -1)
