"""What to do next toward a goal image, and how far it still is: cloned in hindsight from recorded episodes.

Any moment of an episode is a goal that the moments before it led to (hindsight relabelling, arXiv 1707.01495), so no
labels are needed. A planner takes the action as a proposal and the distance as a value.
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

COARSE, FINE = 0.05, 0.02  # m: scales on which distances are seen
TURN_SCALE = 0.1  # rad that the network counts as one
STEPS_SCALE = 5.0  # steps that the network counts as one
STATE_FEATURES = 10  # of :func:`state_features`
GOAL_HAND = 1  # which of the places is where the hand is in the goal
GOAL_HAND_FIRST = 2.0  # logit by which an untrained policy goes there rather than anywhere else


@dataclass(frozen=True)
class GoalPolicyConfig:
    """Sizes, and what is learned.

    Attributes:
        hidden, depth: of the network.
        looks: numbers that it learns to read off a picture by itself, beside what the decoders read.
        farthest: steps from a moment to its goal, at most.
        stride: metres per axis that one step goes at most.
        noise: standard deviation of what is added to readings while it learns, so that it doesn't trust them blindly;
            in the decoders' units (10 cm, a full closing).
        inverse: it learned what was done between neighbouring moments, whatever it was for, and tells no distance; see
            :mod:`vjepa_sim.baselines.inverse`.
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
        check_numbers(self, "stride", above=0)
        check_numbers(self, "noise", above=-1e-9)


@dataclass(frozen=True)
class Intent:
    """What the policy would do, and what it expects.

    Attributes:
        motion: [..., 6], the next action's, metres and radians.
        grip: [...], logit of telling the fingers to close.
        steps: [...], periods that are left to the goal.
    """

    motion: torch.Tensor
    grip: torch.Tensor
    steps: torch.Tensor


class GoalPolicy(nn.Module):
    """A small network on a few numbers: the arm's state, and what is read off the present picture and the goal's.

    It says where the hand should go: a mix of the places that are known (where the hand is, where it is in the goal
    and, if the readings tell, where the object is now and in the goal), and an offset. The motion is the way there,
    shortened to what one step goes.
    """

    def __init__(self, config: GoalPolicyConfig, encoder: EncoderConfig, objects: bool):
        """
        Args:
            config: sizes.
            encoder: whose latents it looks at.
            objects: whether the readings tell where the object is.
        """
        super().__init__()
        self.config = config
        self._places = 4 if objects else 2
        self.reader = Reader(encoder.tokens, encoder.dim, config.looks)
        distances = 3 if objects else 1  # hand to goal; hand to object, object to goal
        inputs = STATE_FEATURES + 2 * (7 if objects else 4) + 2 * 3 * distances + 2 * config.looks
        widths = [inputs, *[config.hidden] * config.depth]
        layers = [nn.Sequential(nn.Linear(i, o), nn.GELU()) for i, o in pairwise(widths)]
        self.layers = nn.Sequential(*layers, nn.Linear(config.hidden, 3 + self._places + 3 + 2))
        with torch.no_grad():
            self.layers[-1].bias[3 + GOAL_HAND] += GOAL_HAND_FIRST

    def forward(
        self, z: torch.Tensor, read: torch.Tensor, state: torch.Tensor, goal: torch.Tensor, goal_read: torch.Tensor
    ) -> Intent:
        """What to do.

        Args:
            z: latents of the present [..., tokens, dim], seen or imagined.
            read: what the decoders read off them [..., 4 or 7], see :meth:`.WorldModel.read`.
            state: the arm's [..., 7].
            goal: the goal's latents [..., tokens, dim].
            goal_read: and what is read off those.
        """
        places = _places(read, state, goal_read)  # [..., 2 or 4, 3]
        x = [state_features(state), read, goal_read, *_distances(places), self.reader(z), self.reader(goal)]
        offset, mix, turn, others = self.layers(torch.cat(x, -1)).split([3, self._places, 3, 2], -1)
        target = (mix.softmax(-1)[..., None] * places).sum(-2) + offset * COARSE
        way = target - places[..., 0, :]
        motion = way / (way.abs().amax(-1, keepdim=True) / self.config.stride).clamp_min(1.0)
        return Intent(
            motion=torch.cat([motion, turn * TURN_SCALE], -1),
            grip=others[..., 0],
            steps=others[..., 1] * STEPS_SCALE,
        )


def imitation_loss(
    intent: Intent, states: torch.Tensor, commands: torch.Tensor, steps: torch.Tensor
) -> dict[str, torch.Tensor]:
    """How far the policy is from what was done.

    Args:
        intent: of B moments.
        states: the arm's [B, 7].
        commands: where it was sent [B, 7]; NaN where the data don't tell counts as right.
        steps: periods to the goal [B].

    Returns:
        ``policy_motion``, ``policy_grip``, ``policy_steps``, and their weighted sum, ``policy``.
    """
    known = torch.isfinite(commands).all(-1)
    commands = torch.where(known[:, None], commands, states)
    scale = states.new_tensor([COARSE] * 3 + [TURN_SCALE] * 3)
    motion = difference(states, commands)[:, :GRIPPER]
    off = nn.functional.smooth_l1_loss(intent.motion / scale, motion / scale, beta=0.2, reduction="none").sum(-1)
    closed = commands[:, GRIPPER].clamp(0, 1)
    doubt = nn.functional.binary_cross_entropy_with_logits(intent.grip, closed, reduction="none")
    losses = {
        "policy_motion": (off * known).mean(),
        "policy_grip": (doubt * known).mean(),
        "policy_steps": nn.functional.smooth_l1_loss(intent.steps / STEPS_SCALE, steps / STEPS_SCALE, beta=0.2),
    }
    losses["policy"] = losses["policy_motion"] + 0.5 * losses["policy_grip"] + 0.5 * losses["policy_steps"]
    return losses


def _places(read: torch.Tensor, state: torch.Tensor, goal_read: torch.Tensor) -> torch.Tensor:
    """Metres [..., 2 or 4, 3]: of the hand now and in the goal and, if the readings tell, of the object, likewise."""
    places = [state[..., :3], goal_read[..., :3] * SCALE + read.new_tensor(STATE_CENTER)]
    if read.shape[-1] > 4:
        places += [each[..., 4:] * SCALE + read.new_tensor(OBJECT_CENTER) for each in (read, goal_read)]
    return torch.stack(places, -2)


def _distances(places: torch.Tensor) -> list[torch.Tensor]:
    """From the hand to its goal and to the object, and from that to its goal, each on two scales."""
    hand, goal_hand, *things = places.unbind(-2)
    away = [goal_hand - hand, *([things[0] - hand, things[1] - things[0]] if things else [])]
    away = torch.cat(away, -1)
    return [away / COARSE, torch.tanh(away / FINE)]


def state_features(state: torch.Tensor) -> torch.Tensor:
    """[..., 10]: the arm's place, two columns of its rotation matrix, and its grip."""
    place = (state[..., :3] - state.new_tensor(STATE_CENTER)) / SCALE
    return torch.cat([place, euler_to_matrix(state[..., 3:6])[..., :2].flatten(-2), state[..., 6:]], -1)
