"""Rotary position embedding over time, height and width, as in V-JEPA 2 (arXiv 2506.09985, section 2)."""

from __future__ import annotations

from typing import Literal

import torch

RopeMode = Literal["compat", "correct"]


def axis_width(head_dim: int) -> int:
    """Number of dimensions of a head that each of the three axes rotates; the remaining ones are not rotated."""
    return 2 * (head_dim // 3 // 2)


def rope_table(positions: torch.Tensor, head_dim: int, mode: RopeMode) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines for :func:`rotate`.

    Args:
        positions: Positions (time, row, column) of the tokens [..., N, 3]. A token that only has a time gets row and
            column 0, which don't rotate.
        head_dim: Dimensions per attention head.
        mode: ``correct`` rotates each pair of dimensions by one angle. ``compat`` repeats an error of the released
            models, whose weights need it: frequencies are tiled where pairs are interleaved, so the two dimensions of
            a pair are rotated by different angles.

    Returns:
        Cosines and sines, each [..., N, head_dim].
    """
    width = axis_width(head_dim)
    half = width // 2
    frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float32, device=positions.device) / half)
    angle = positions.float()[..., None] * frequency  # [..., N, 3, width / 2]
    angle = torch.cat([angle, angle], -1) if mode == "compat" else angle.repeat_interleave(2, -1)
    angle = angle.flatten(-2)  # [..., N, 3 width]
    angle = torch.nn.functional.pad(angle, (0, head_dim - 3 * width))
    return angle.cos(), angle.sin()


def rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotate neighbouring pairs of dimensions, (a, b) → (a cos − b sin, b cos + a sin), of x [..., N, head_dim]."""
    turned = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    return x * cosine.to(x.dtype) + turned * sine.to(x.dtype)


def grid_positions(frames: int, height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """Positions (time, row, column) of tokens in their order, time slowest: [frames · height · width, 3]."""
    axes = [torch.arange(n, device=device) for n in (frames, height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
