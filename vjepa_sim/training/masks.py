"""Multi-block tube masks for mask-denoising (V-JEPA 2's public configuration)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class MaskConfig:
    """One kind of mask: the union of blocks that span all frames.

    Attributes:
        blocks: Number of blocks.
        scale: Share of the image that one block covers.
        aspect: Range of the aspect ratio, height over width.
    """

    blocks: int
    scale: float
    aspect: tuple[float, float] = (0.75, 1.5)


MAX_TRIES = 100  # attempts that mask the whole image before the size of blocks is drawn again
SHORT_RANGE = MaskConfig(blocks=8, scale=0.15)
LONG_RANGE = MaskConfig(blocks=2, scale=0.70)


def sample_masks(
    config: MaskConfig, *, batch: int, frames: int, grid: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw context tokens and tokens to predict.

    The size of blocks is drawn once for the batch, their positions for each sample. Samples are cut to equal length by
    keeping the lowest token ids, as in the reference implementation.

    Args:
        config: Kind of mask.
        batch: Number of samples.
        frames: Number of tubelets in time.
        grid: Tokens along one side of the image.
        rng: Random generator.

    Returns:
        Context ids [batch, K] and target ids [batch, M], int64.
    """
    height, width = _block_size(config, grid, rng)
    contexts, targets = [], []
    tries = 0
    while len(contexts) < batch:
        hidden = np.zeros((grid, grid), bool)
        for _ in range(config.blocks):
            top, left = rng.integers(0, grid - height + 1), rng.integers(0, grid - width + 1)
            hidden[top : top + height, left : left + width] = True
        if hidden.all():
            # No context is left: draw other positions and, after many attempts, another size.
            tries += 1
            if tries % MAX_TRIES == 0:
                height, width = _block_size(config, grid, rng)
            continue
        tube = np.broadcast_to(hidden, (frames, grid, grid)).ravel()
        contexts.append(np.flatnonzero(~tube))
        targets.append(np.flatnonzero(tube))
    return _stack_shortest(contexts), _stack_shortest(targets)


def _block_size(config: MaskConfig, grid: int, rng: np.random.Generator) -> tuple[int, int]:
    area = int(grid * grid * config.scale)
    aspect = rng.uniform(*config.aspect)
    height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
    return int(np.clip(height, 1, grid)), int(np.clip(width, 1, grid))


def _stack_shortest(ids: list[np.ndarray]) -> torch.Tensor:
    length = min(map(len, ids))
    return torch.from_numpy(np.stack([each[:length] for each in ids]))
