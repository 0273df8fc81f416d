"""Batches of stage one: clips and their masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import repeat

from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.training.masks import sample_masks
from vjepa_sim.training.presets import PretrainConfig
from vjepa_sim.transform import ImageTransform


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch of stage one.

    Attributes:
        video: Normalised clips [B, 3, T, H, W].
        stills: Frames of all clips [B · T, 3, H, W].
        states: State of the arm in each frame [B · T, 7], NaN where there is no arm.
        objects: Position of the object in each frame [B · T, 3], metres, NaN where unknown.
        masks: Ids of context and masked tokens ([B, K], [B, M]) for each kind of mask.
        grid: Tokens along one side of an image.
        group: Number of the phase, which selects the learned mask token.
    """

    video: torch.Tensor
    stills: torch.Tensor
    states: torch.Tensor
    objects: torch.Tensor
    masks: list[tuple[torch.Tensor, torch.Tensor]]
    grid: int
    group: int

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device."""
        masks = [(seen.to(device), hidden.to(device)) for seen, hidden in self.masks]
        tensors = {name: getattr(self, name).to(device) for name in ("video", "stills", "states", "objects")}
        return replace(self, **tensors, masks=masks)


def draw_batch(
    mixture: Mixture,
    config: PretrainConfig,
    *,
    encoder: EncoderConfig,
    transform: ImageTransform,
    seed: int,
    step: int,
    rows: range,
) -> Batch:
    """Draw some rows of a step's batch. A row depends on seed, step and row number alone, not on the process."""
    rng = np.random.default_rng([seed, step])
    phase = config.phase(step)
    transform = replace(transform, size=phase.image_size)
    drawn = mixture.draw([[seed, step, row] for row in rows], phase.frames, int(rng.choice(config.strides)))
    videos, states, objects = [], [], []
    for row, clip in zip(rows, drawn, strict=True):
        if config.augmentation is None:
            images = transform.fit(torch.from_numpy(clip.frames))
        else:
            rng_of_part = np.random.default_rng([seed, step, row, 1])
            part = config.augmentation(np.asarray(clip.frames), isinstance(clip, RobotClip), rng_of_part)
            images = transform.squash(torch.from_numpy(np.ascontiguousarray(part)))
        videos.append(images)
        if isinstance(clip, RobotClip):
            states.append(clip.states)
            objects.append(clip.objects)
        else:
            states.append(np.full((phase.frames, 7), np.nan, np.float32))
            objects.append(np.full((phase.frames, 3), np.nan, np.float32))
    images = torch.stack(videos)  # [B, T, 3, H, W]
    repeats = encoder.tubelet_size if config.still_tubelets else 1
    tubelets = phase.frames * repeats // encoder.tubelet_size
    grid = phase.image_size // encoder.patch_size
    masks = []
    for mask in config.masks:
        seen, hidden = sample_masks(mask, batch=config.batch, frames=tubelets, grid=grid, rng=rng)
        masks.append((seen[rows], hidden[rows]))
    return Batch(
        video=repeat(images, "b t c h w -> b c (t r) h w", r=repeats),
        stills=images.flatten(0, 1),
        states=torch.from_numpy(np.concatenate(states)),
        objects=torch.from_numpy(np.concatenate(objects)),
        masks=masks,
        grid=grid,
        group=config.phases.index(phase),
    )
