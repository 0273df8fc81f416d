"""Clips for a training loop of one's own, as a PyTorch data set."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from vjepa_sim.data.mixture import Mixture
from vjepa_sim.transform import ImageTransform


class ClipDataset(Dataset):
    """A mixture's clips, one for each number.

    Clip i of an epoch depends on (seed, epoch, i) alone. So PyTorch's own tools share the work without repeating or
    losing a clip: ``DataLoader(dataset, batch_size, num_workers=2)`` over workers, ``DistributedSampler(dataset)`` over
    processes. Weights are those of the mixture.

    >>> mixture = load_mixture(["droid:DROID@0.5", "sim:episodes@0.5"], only_episodes=True)
    >>> dataset = ClipDataset(mixture, frames=8, clips=10_000, transform=model.card.transform)
    >>> loader = DataLoader(dataset, batch_size=32, num_workers=2)
    """

    def __init__(
        self,
        mixture: Mixture,
        frames: int,
        clips: int,
        seed: int = 0,
        stride: int = 1,
        transform: ImageTransform | None = None,
    ):
        """
        Args:
            mixture: see :func:`.load_mixture`.
            frames: of a clip (T).
            clips: of an epoch, all in all.
            seed: of the draws.
            stride: periods of the mixture from one frame to the next.
            transform: a model's own, ``model.card.transform``, or None for the pictures as they are.
        """
        self._mixture, self._frames, self._clips = mixture, frames, clips
        self._seed, self._stride, self._transform = seed, stride, transform
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers that live on see it change

    def __len__(self) -> int:
        """Clips of an epoch."""
        return self._clips

    def set_epoch(self, epoch: int) -> None:
        """Draw other clips from now on; call it before each epoch."""
        self._epoch[0] = epoch

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """One clip.

        Returns:
            ``frames`` uint8 [T, H, W, 3] (RGB) or, with a transform, normalised float32 [T, 3, size, size];
            ``states`` float32 [T, 7], ``[x, y, z, roll, pitch, yaw, closedness]`` of the flange in the base frame,
            metres and radians; ``actions`` float32 [T - 1, 7], the differences between them; both NaN where there is no
            arm.

        Raises:
            IndexError: the epoch has no such clip.
            UserError: too many files of a data set can't be read.
        """
        if not 0 <= number < self._clips:
            raise IndexError(f"clip {number} of {self._clips}")
        clip = self._mixture.draw_one([self._seed, int(self._epoch), number], self._frames, self._stride)
        frames = torch.from_numpy(np.ascontiguousarray(clip.frames))
        known = clip.states is not None
        states = clip.states if known else np.full((self._frames, 7), np.nan, np.float32)
        actions = clip.actions if known else np.full((self._frames - 1, 7), np.nan, np.float32)
        return {
            "frames": frames if self._transform is None else self._transform.fit(frames),
            "states": torch.from_numpy(states),
            "actions": torch.from_numpy(actions),
        }
