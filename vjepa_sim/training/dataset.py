"""Clips as a PyTorch data set, for a custom training loop."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.transform import ImageTransform


class ClipDataset(Dataset):
    """Random clips of a mixture of data.

    Clip i of an epoch depends on (seed, epoch, i) alone, so PyTorch's tools can distribute the work:
    ``DataLoader(dataset, batch_size, num_workers=2)`` over workers, ``DistributedSampler(dataset)`` over processes.

    >>> mixture = load_mixture(["droid:DROID@0.5", "sim:episodes@0.5"], only_episodes=True)
    >>> dataset = ClipDataset(mixture, frames=8, clips=10_000, transform=model.card.transform)
    >>> loader = DataLoader(dataset, batch_size=32, num_workers=2)
    """

    def __init__(
        self,
        mixture: Mixture,
        frames: int,
        *,
        clips: int,
        seed: int = 0,
        stride: int = 1,
        transform: ImageTransform | None = None,
    ):
        """
        Args:
            mixture: Weighted data sets, see :func:`.load_mixture`.
            frames: Number of frames per clip (T).
            clips: Number of clips per epoch.
            seed: Random seed of the draws.
            stride: Periods of the mixture between two frames.
            transform: Transform of a model, ``model.card.transform``; None for the recorded images.
        """
        self._mixture, self._frames, self._clips = mixture, frames, clips
        self._seed, self._stride, self._transform = seed, stride, transform
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # shared with persistent workers

    def __len__(self) -> int:
        """Number of clips per epoch."""
        return self._clips

    def set_epoch(self, epoch: int) -> None:
        """Draw the clips of another epoch; call this before each epoch."""
        self._epoch[0] = epoch

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Draw one clip.

        Returns:
            ``frames``, uint8 [T, H, W, 3] (RGB) or, with a transform, normalised float32 [T, 3, size, size];
            ``states``, float32 [T, 7], ``[x, y, z, roll, pitch, yaw, closedness]`` of the flange in the base frame,
            metres and radians; ``actions``, float32 [T - 1, 7], the differences between states. States and actions are
            NaN where there is no arm.

        Raises:
            IndexError: The epoch has no such clip.
            UserError: Too many files of a data set can't be read.
        """
        if not 0 <= number < self._clips:
            raise IndexError(f"clip {number} of {self._clips}")
        clip = self._mixture.draw_one([self._seed, int(self._epoch), number], self._frames, self._stride)
        frames = torch.from_numpy(np.ascontiguousarray(clip.frames))
        if isinstance(clip, RobotClip):
            states, actions = clip.states, clip.actions
        else:
            states = np.full((self._frames, 7), np.nan, np.float32)
            actions = np.full((self._frames - 1, 7), np.nan, np.float32)
        return {
            "frames": frames if self._transform is None else self._transform.fit(frames),
            "states": torch.from_numpy(states),
            "actions": torch.from_numpy(actions),
        }
