"""A goal-conditioned policy on latents: the next action toward a goal image, and the number of steps to it.

It is cloned from recorded episodes with hindsight relabelling (arXiv 1707.01495): each moment of an episode is a goal
of the moments before it. A planner uses the action as a proposal and the number of steps as a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.envs.pose import GRIPPER
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.heads import OBJECT_CENTER, SCALE, STATE_CENTER, Reader
from vjepa_sim.models.rotation import difference, euler_to_matrix
from vjepa_sim.models.transformer import check_depth

COARSE, FINE = 0.05, 0.02  # m; scales of distances in the input
TURN_SCALE = 0.1  # rad; scale of rotations in the output
STEPS_SCALE = 5.0  # scale of numbers of steps in the output
STATE_FEATURES = 10  # length of the result of :func:`state_features`
GOAL_POSITION = 1  # index of the end effector's position in the goal among the known positions
GOAL_POSITION_LOGIT = 2.0  # logit by which an untrained policy prefers that position


@dataclass(frozen=True, kw_only=True)
class GoalPolicyConfig:
    """Sizes of the policy, and settings of its training.

    Attributes:
        hidden, depth: Sizes of the network.
        looks: Number of learned features of an image, beside the decoded positions.
        farthest: Largest number of steps from a moment to its goal.
        stride: Largest motion of one step in metres, per axis.
        noise: Standard deviation of the noise on decoded positions in training, in the decoders' units (10 cm, a full
            closing); it makes the policy robust to decoding errors.
        inverse: Whether this is an inverse model, trained on actions between neighbouring moments, whose number of
            steps means nothing; see :mod:`vjepa_sim.baselines.inverse`.
    """

    hidden: int = 256
    depth: int = 3
    looks: int = 8
    farthest: int = 20
    stride: float = 0.075
    noise: float = 0.05
    inverse: bool = False

    def __post_init__(self) -> None:
        check_positive(self, "hidden", "depth", "looks", "farthest")
        check_depth(self.depth)
        check_numbers(self, "stride", above=0)
        check_numbers(self, "noise", above=-1e-9)


@dataclass(frozen=True)
class Intent:
    """Output of the policy.

    Attributes:
        motion: Pose change of the next action [..., 6], metres and radians.
        grip: Logit of closing the gripper [...].
        steps: Predicted number of periods to the goal [...].
    """

    motion: torch.Tensor
    grip: torch.Tensor
    steps: torch.Tensor


class GoalPolicy(nn.Module):
    """A small network on the arm's state and on positions decoded from the current and the goal latents.

    Its output is a target position: a softmax-weighted mean of known positions (of the end effector, now and in the
    goal, and with an object decoder of the object, now and in the goal), plus an offset. The motion leads to the
    target, clipped to the largest step.

    Attributes:
        config: Sizes of the policy.
    """

    def __init__(self, config: GoalPolicyConfig, encoder: EncoderConfig, objects: bool):
        """
        Args:
            config: Sizes of the policy.
            encoder: Sizes of the encoder that makes the latents.
            objects: Whether the object's position is decoded as well.
        """
        super().__init__()
        self.config = config
        self._positions = 4 if objects else 2
        self.reader = Reader(encoder.tokens, encoder.dim, config.looks)
        distances = 3 if objects else 1  # end effector to its goal and to the object, object to its goal
        inputs = STATE_FEATURES + 2 * (7 if objects else 4) + 2 * 3 * distances + 2 * config.looks
        widths = [inputs, *[config.hidden] * config.depth]
        layers = [nn.Sequential(nn.Linear(i, o), nn.GELU()) for i, o in pairwise(widths)]
        output = nn.Linear(config.hidden, 3 + self._positions + 3 + 2)
        self.layers = nn.Sequential(*layers, output)
        with torch.no_grad():
            output.bias[3 + GOAL_POSITION] += GOAL_POSITION_LOGIT

    def forward(
        self, z: torch.Tensor, read: torch.Tensor, state: torch.Tensor, goal: torch.Tensor, goal_read: torch.Tensor
    ) -> Intent:
        """Propose the next action.

        Args:
            z: Current latents [..., tokens, dim], encoded or predicted.
            read: Positions decoded from them [..., 4 or 7], see :meth:`.WorldModel.read`.
            state: State of the arm [..., 7].
            goal: Latents of the goal [..., tokens, dim].
            goal_read: Positions decoded from those [..., 4 or 7].
        """
        positions = _known_positions(read, state, goal_read)  # [..., 2 or 4, 3]
        x = [state_features(state), read, goal_read, *_distances(positions), self.reader(z), self.reader(goal)]
        offset, mix, turn, others = self.layers(torch.cat(x, -1)).split([3, self._positions, 3, 2], -1)
        target = (mix.softmax(-1)[..., None] * positions).sum(-2) + offset * COARSE
        motion = target - positions[..., 0, :]
        motion = motion / (motion.abs().amax(-1, keepdim=True) / self.config.stride).clamp_min(1.0)
        return Intent(
            motion=torch.cat([motion, turn * TURN_SCALE], -1),
            grip=others[..., 0],
            steps=others[..., 1] * STEPS_SCALE,
        )


def imitation_loss(
    intent: Intent, states: torch.Tensor, commands: torch.Tensor, steps: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Behaviour-cloning losses.

    Args:
        intent: Output of the policy for B moments.
        states: States of the arm [B, 7].
        commands: Commanded states [B, 7]; NaN where unknown, which adds no loss.
        steps: Periods to the goal [B].

    Returns:
        Losses ``policy_motion``, ``policy_grip``, ``policy_steps``, and their weighted sum ``policy``.
    """
    known = torch.isfinite(commands).all(-1)
    commands = torch.where(known[:, None], commands, states)
    scale = states.new_tensor([COARSE] * 3 + [TURN_SCALE] * 3)
    motion = difference(states, commands)[:, :GRIPPER]
    error = nn.functional.smooth_l1_loss(intent.motion / scale, motion / scale, beta=0.2, reduction="none").sum(-1)
    closed = commands[:, GRIPPER].clamp(0, 1)
    grip_error = nn.functional.binary_cross_entropy_with_logits(intent.grip, closed, reduction="none")
    losses = {
        "policy_motion": (error * known).mean(),
        "policy_grip": (grip_error * known).mean(),
        "policy_steps": nn.functional.smooth_l1_loss(intent.steps / STEPS_SCALE, steps / STEPS_SCALE, beta=0.2),
    }
    losses["policy"] = losses["policy_motion"] + 0.5 * losses["policy_grip"] + 0.5 * losses["policy_steps"]
    return losses


def _known_positions(read: torch.Tensor, state: torch.Tensor, goal_read: torch.Tensor) -> torch.Tensor:
    """Positions [..., 2 or 4, 3] in metres: end effector now and in the goal, likewise the object if decoded."""
    positions = [state[..., :3], goal_read[..., :3] * SCALE + read.new_tensor(STATE_CENTER)]
    if read.shape[-1] > 4:
        positions += [each[..., 4:] * SCALE + read.new_tensor(OBJECT_CENTER) for each in (read, goal_read)]
    return torch.stack(positions, -2)


def _distances(positions: torch.Tensor) -> list[torch.Tensor]:
    """Vectors from end effector to its goal and to the object, and from object to its goal, on two scales."""
    effector, goal_effector, *objects = positions.unbind(-2)
    vectors = [goal_effector - effector]
    if objects:
        vectors += [objects[0] - effector, objects[1] - objects[0]]
    away = torch.cat(vectors, -1)
    return [away / COARSE, torch.tanh(away / FINE)]


def state_features(state: torch.Tensor) -> torch.Tensor:
    """Features of states [..., 7]: scaled position, two columns of the rotation matrix, closedness; [..., 10]."""
    position = (state[..., :3] - state.new_tensor(STATE_CENTER)) / SCALE
    return torch.cat([position, euler_to_matrix(state[..., 3:6])[..., :2].flatten(-2), state[..., 6:]], -1)
