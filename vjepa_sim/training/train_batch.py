"""What one step of stage two sees: clips of motion and, for a goal policy, moments with their goals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from vjepa_sim.data.clip import Clip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.envs.pose import GRIPPER
from vjepa_sim.models.goal_policy import GoalPolicyConfig
from vjepa_sim.training.feature_cache import Features
from vjepa_sim.training.presets import TrainConfig


@dataclass(frozen=True)
class GoalPairs:
    """Moments and their goals.

    Attributes:
        z: latents of the moment and of its goal [P, 2, tokens, dim].
        states: the arm's at the moment [P, 7].
        commands: where it was sent [P, 7], NaN where unknown.
        steps: periods from the moment to its goal [P].
        noise: what is added to what is read off them [P, 2, 7].
    """

    z: torch.Tensor
    states: torch.Tensor
    commands: torch.Tensor
    steps: torch.Tensor
    noise: torch.Tensor


@dataclass(frozen=True)
class MotionBatch:
    """What one step sees.

    Attributes:
        z: latents of clips [B, T, tokens, dim].
        actions: [B, T - 1, 7].
        states: [B, T, 7].
        objects: [B, T, 3], metres, NaN where unknown.
        pairs: or None if there is no goal policy.
    """

    z: torch.Tensor
    actions: torch.Tensor
    states: torch.Tensor
    objects: torch.Tensor
    pairs: GoalPairs | None


@dataclass(frozen=True)
class DrawnMotion:
    """The same before it is tensors: clips, and pairs as clips of two frames, with their noise [P, 2, 7]."""

    clips: list[Clip]
    pairs: list[Clip]
    noise: np.ndarray

    def batch(self, features: Features) -> MotionBatch:
        """As tensors on the features' device."""
        z = features.of(self.clips)
        actions, states, objects = (stacked(self.clips, name, z) for name in ("actions", "states", "objects"))
        return MotionBatch(z, actions, states, objects, self._goal_pairs(features))

    def _goal_pairs(self, features: Features) -> GoalPairs | None:
        if not self.pairs:
            return None
        z = features.of(self.pairs)
        states, commands = (stacked(self.pairs, name, z)[:, 0] for name in ("states", "commands"))
        steps, noise = z.new_tensor([pair.stride for pair in self.pairs]), torch.from_numpy(self.noise).to(z.device)
        return GoalPairs(z, states, commands, steps, noise)


def draw_motion(
    mixture: Mixture,
    config: TrainConfig,
    policy: GoalPolicyConfig | None,
    seeds: list[list[int]],
    pictures: bool,
    held_out: bool = False,
) -> DrawnMotion:
    """Clips, one for each seed, and each one's pairs. Equal seeds give equal ones.

    Args:
        mixture: of robot episodes.
        config: lengths and numbers.
        policy: the goal policy's, or None if there is none.
        seeds: of the clips.
        pictures: whether they are decoded; without, their latents must be cached.
        held_out: from the episodes that training never sees, and without noise.
    """
    clips = mixture.draw_motion(seeds, config.frames, held_out, pictures)
    if policy is None:
        return DrawnMotion(clips, [], np.zeros((0, 2, 7), np.float32))
    of_pairs = [[*seed, 1, pair] for seed in seeds for pair in range(config.pairs)]
    noise = [np.random.default_rng([*seed, 2]).standard_normal((config.pairs, 2, 7), np.float32) for seed in seeds]
    noise = np.concatenate(noise) * np.float32(0.0 if held_out else policy.noise)
    if policy.inverse:
        neighbours = mixture.draw_motion(of_pairs, 2, held_out, pictures)
        return DrawnMotion(clips, [replace(pair, commands=done_between(pair)) for pair in neighbours], noise)
    return DrawnMotion(clips, mixture.draw_pairs(of_pairs, policy.farthest, held_out, pictures), noise)


def done_between(pair: Clip) -> np.ndarray:
    """What led from a moment to its neighbour [1, 7]: the pose that was reached, and what the fingers were told, since
    they stop at what they hold; their place where the data don't tell.
    """
    done, told = pair.states[1:].copy(), pair.commands[:1, GRIPPER]
    done[:, GRIPPER] = np.where(np.isfinite(told), told, done[:, GRIPPER])
    return done


def stacked(clips: list[Clip], name: str, like: torch.Tensor) -> torch.Tensor:
    """An array of every clip as one tensor [B, …], on another's device."""
    return torch.from_numpy(np.stack([getattr(clip, name) for clip in clips])).to(like.device)
