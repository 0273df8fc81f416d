"""Rotary position embedding over time, height and width, as V-JEPA 2 has it (arXiv 2506.09985, section 2)."""

from __future__ import annotations

from typing import Literal

import torch

RopeMode = Literal["compat", "correct"]


def axis_width(head_dim: int) -> int:
    """How many of a head's dimensions each of the three axes rotates; what is left over is never rotated."""
    return 2 * (head_dim // 3 // 2)


def rope_table(positions: torch.Tensor, head_dim: int, mode: RopeMode) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines for :func:`rotate`.

    Args:
        positions: [..., N, 3], the (time, row, column) of each token. A token that only has a time is given row and
            column 0, which rotates by nothing.
        head_dim: dimensions per attention head.
        mode: ``correct`` turns each pair of dimensions by one angle. ``compat`` repeats the released models' quirk:
            frequencies are tiled where pairs are interleaved, so the two halves of a pair turn by different angles.
            The released weights were trained with it and need it.

    Returns:
        Two tensors [..., N, head_dim].
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
    """[frames · height · width, 3]: the (time, row, column) of tokens in their order, time slowest."""
    axes = [torch.arange(n, device=device) for n in (frames, height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
