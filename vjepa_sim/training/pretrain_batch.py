"""What one step of stage one sees: clips, and what is hidden in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import repeat

from vjepa_sim.data.mixture import Mixture
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.training.masks import sample_masks
from vjepa_sim.training.presets import PretrainConfig
from vjepa_sim.transform import ImageTransform


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        video: normalised clips [B, 3, T, H, W].
        stills: all their frames, one by one [B · T, 3, H, W].
        states: the arm's state in each frame [B · T, 7], NaN where there is no arm.
        objects: where the object is in each [B · T, 3], metres, NaN where unknown.
        masks: seen and hidden token ids ([B, K], [B, M]) for each kind of mask.
        grid: tokens along one side of a picture.
        group: which group of equally long clips this is; each has a mask token of its own.
    """

    video: torch.Tensor
    stills: torch.Tensor
    states: torch.Tensor
    objects: torch.Tensor
    masks: list[tuple[torch.Tensor, torch.Tensor]]
    grid: int
    group: int

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        masks = [(seen.to(device), hidden.to(device)) for seen, hidden in self.masks]
        tensors = {name: getattr(self, name).to(device) for name in ("video", "stills", "states", "objects")}
        return replace(self, **tensors, masks=masks)


def draw_batch(
    mixture: Mixture,
    config: PretrainConfig,
    encoder: EncoderConfig,
    transform: ImageTransform,
    seed: int,
    step: int,
    rows: range,
) -> Batch:
    """Some rows of a step's batch. What they hold depends on seed, step and row alone, not on who draws the others."""
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
            part = config.augmentation(clip.frames, clip.states is not None, rng_of_part)
            images = transform.squash(torch.from_numpy(np.ascontiguousarray(part)))
        videos.append(images)
        states.append(np.full((phase.frames, 7), np.nan, np.float32) if clip.states is None else clip.states)
        objects.append(np.full((phase.frames, 3), np.nan, np.float32) if clip.objects is None else clip.objects)
    images = torch.stack(videos)  # [B, T, 3, H, W]
    repeats = encoder.tubelet_size if config.still_tubelets else 1
    tubelets = phase.frames * repeats // encoder.tubelet_size
    grid = phase.image_size // encoder.patch_size
    masks = []
    for mask in config.masks:
        seen, hidden = sample_masks(mask, config.batch, tubelets, grid, rng)
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
