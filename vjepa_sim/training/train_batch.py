"""Batches of stage two: clips and, for a goal policy, moments with their goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vjepa_sim.data.clip import GoalPair, RobotClip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.envs.pose import GRIPPER
from vjepa_sim.models.goal_policy import GoalPolicyConfig
from vjepa_sim.training.feature_cache import Features
from vjepa_sim.training.presets import TrainConfig


@dataclass(frozen=True, kw_only=True)
class GoalPairs:
    """A batch of moments and their goals.

    Attributes:
        z: Latents of the moment and of its goal [P, 2, tokens, dim].
        states: State of the arm at the moment [P, 7].
        commands: State that was commanded at the moment [P, 7], NaN where unknown.
        steps: Periods from the moment to its goal [P].
        noise: Noise on the decoded positions of both [P, 2, 7], in the decoders' units.
    """

    z: torch.Tensor
    states: torch.Tensor
    commands: torch.Tensor
    steps: torch.Tensor
    noise: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class MotionBatch:
    """A batch of stage two.

    Attributes:
        z: Latents of clips [B, T, tokens, dim].
        actions: Actions between the frames [B, T - 1, 7].
        states: State of the arm in each frame [B, T, 7].
        objects: Position of the object in each frame [B, T, 3], metres, NaN where unknown.
        pairs: Moments and their goals; None if there is no goal policy.
    """

    z: torch.Tensor
    actions: torch.Tensor
    states: torch.Tensor
    objects: torch.Tensor
    pairs: GoalPairs | None


@dataclass(frozen=True)
class DrawnMotion:
    """The drawn data of a batch, before it is made of tensors.

    Attributes:
        clips: Clips of motion.
        pairs: Moments and their goals, as clips of two frames.
        noise: Noise on the positions that are decoded from the pairs [P, 2, 7].
    """

    clips: list[RobotClip]
    pairs: list[GoalPair]
    noise: np.ndarray

    def batch(self, features: Features) -> MotionBatch:
        """Make the batch, on the device of the latents."""
        z = features.of(self.clips)
        actions, states, objects = (stacked(self.clips, name, z) for name in ("actions", "states", "objects"))
        return MotionBatch(z=z, actions=actions, states=states, objects=objects, pairs=self._goal_pairs(features))

    def _goal_pairs(self, features: Features) -> GoalPairs | None:
        if not self.pairs:
            return None
        z = features.of(self.pairs)
        states, commands = (stacked(self.pairs, name, z)[:, 0] for name in ("states", "commands"))
        steps, noise = z.new_tensor([pair.stride for pair in self.pairs]), torch.from_numpy(self.noise).to(z.device)
        return GoalPairs(z=z, states=states, commands=commands, steps=steps, noise=noise)


def draw_motion(
    mixture: Mixture,
    config: TrainConfig,
    *,
    policy: GoalPolicyConfig | None,
    seeds: list[list[int]],
    images: bool,
    held_out: bool = False,
) -> DrawnMotion:
    """Draw one clip per seed, and its pairs of moments and goals.

    Args:
        mixture: Data, robot episodes only.
        config: Length of the clips and number of pairs per clip.
        policy: Sizes of the goal policy; None if there is no policy and no pairs are drawn.
        seeds: Seeds of the clips; equal seeds give equal clips.
        images: Whether images are decoded; otherwise their latents must be cached.
        held_out: Whether clips are of held-out episodes, and without noise.
    """
    clips = mixture.draw_motion(seeds, config.frames, held_out, images)
    if policy is None:
        return DrawnMotion(clips, [], np.zeros((0, 2, 7), np.float32))
    of_pairs = [[*seed, 1, pair] for seed in seeds for pair in range(config.pairs)]
    noise = [np.random.default_rng([*seed, 2]).standard_normal((config.pairs, 2, 7), np.float32) for seed in seeds]
    noise = np.concatenate(noise) * np.float32(0.0 if held_out else policy.noise)
    if policy.inverse:
        neighbours = mixture.draw_motion(of_pairs, 2, held_out, images)
        return DrawnMotion(clips, [_as_pair(clip) for clip in neighbours], noise)
    return DrawnMotion(clips, mixture.draw_pairs(of_pairs, policy.farthest, held_out=held_out, images=images), noise)


def _as_pair(clip: RobotClip) -> GoalPair:
    """Two neighbours as a moment and its goal, one period later; the command is what led there."""
    return GoalPair(**{**vars(clip), "commands": done_between(clip)}, stride=1)


def done_between(pair: RobotClip) -> np.ndarray:
    """The command between two neighbouring moments [1, 7]: the pose that was reached, and the commanded closedness.

    The measured closedness replaces an unknown command. The command is preferred, since the gripper stops at an object.
    """
    reached, commanded = pair.states[1:].copy(), pair.commands[:1, GRIPPER]
    reached[:, GRIPPER] = np.where(np.isfinite(commanded), commanded, reached[:, GRIPPER])
    return reached


def stacked(clips: Sequence[RobotClip], name: str, like: torch.Tensor) -> torch.Tensor:
    """Stack one array of all clips into a tensor [B, …], on the device of ``like``."""
    return torch.from_numpy(np.stack([getattr(clip, name) for clip in clips])).to(like.device)
