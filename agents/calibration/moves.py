"""Small random horizontal motions of the arm, and their inference by a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from vjepa_sim.agents.planning.energy import feature_distance
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.pose import ACTION_DIM, POSITION
from vjepa_sim.envs.safety import SafetyEnvelope, SafetyLimits
from vjepa_sim.protocols import LatentDynamics

LENGTHS = (0.8, 1.2)  # range of a motion's length, as a share of the nominal one
ROOM = 2.0  # maximum distance from the start, in nominal lengths
MAX_DRAWS = 1000
MIN_MOVES = 6
GRID, ROUNDS = 13, 2  # candidates along each axis; grids, from coarse to fine around the best
REACH = 0.075  # m, half of the first grid's width
MAX_STEPS, ARRIVED = 60, 0.005  # maximum steps of an approach; tolerance in m


@dataclass(frozen=True)
class Moves:
    """Horizontal motions of the flange, in metres along x and y of the base frame.

    Attributes:
        inferred: motions that a model inferred [N, 2].
        true: motions that the arm measured [N, 2].
    """

    inferred: np.ndarray
    true: np.ndarray

    def to_csv(self) -> str:
        """CSV with a row for each motion, in metres."""
        lines = ["inferred_x,inferred_y,true_x,true_y"]
        lines += [",".join(f"{value:.6f}" for value in row) for row in np.hstack([self.inferred, self.true])]
        return "\n".join(lines) + "\n"


@torch.inference_mode()
def infer_move(model: LatentDynamics, before: Observation, after: np.ndarray) -> np.ndarray:
    """Infer a horizontal motion: the one whose predicted outcome is nearest to the image after it, by features.

    Args:
        model: world model.
        before: observation before the motion.
        after: image after the motion, uint8 [H, W, 3].

    Returns:
        Motion along x and y [2], float64, metres.
    """
    z, goal = model.encode(before.rgb)[0], model.encode(after)[0]
    state = torch.from_numpy(before.state)
    best, reach = np.zeros(2), REACH
    for _ in range(ROUNDS):
        along = np.linspace(-reach, reach, GRID)
        moves = best + np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
        actions = torch.zeros(len(moves), 1, ACTION_DIM)
        actions[:, 0, :2] = torch.from_numpy(moves)
        best = moves[int(feature_distance(model, z, state=state, actions=actions, goal=goal).argmin())]
        reach *= 2 / (GRID - 1)
    return best


def infer_moves(
    model: LatentDynamics,
    observations: list[Observation],
    on_move: Callable[[int, int], None] = lambda done, total: None,
) -> Moves:
    """Infer all motions of a sequence.

    Args:
        model: world model.
        observations: observations before, between and after the motions.
        on_move: called with the number of motions inferred so far and in all.
    """
    total = len(observations) - 1
    inferred, true = np.empty((total, 2)), np.empty((total, 2))
    for number, (before, after) in enumerate(pairwise(observations)):
        inferred[number] = infer_move(model, before, after.rgb)
        true[number] = after.state[:2].astype(np.float64) - before.state[:2]
        on_move(number + 1, total)
    return Moves(inferred, true)


def check_moves(count: int, size: float, limits: SafetyLimits) -> None:
    """Check the arguments of :func:`.make_moves`.

    Args:
        count: number of motions.
        size: nominal length of a motion in metres.
        limits: safety limits of the arm.

    Raises:
        UserError: there are too few motions, or they are too long.
    """
    if count < MIN_MOVES:
        raise UserError(f"{count} motions are too few for a calibration; make at least {MIN_MOVES}, better 30.")
    if not 0 < LENGTHS[1] * size <= limits.max_translation:
        raise UserError(
            f"Motions of {100 * size:g} cm ± 20 %: the length must be above 0, and the step limit is "
            f"{100 * limits.max_translation:g} cm."
        )


def make_moves(
    arm: SafetyEnvelope,
    *,
    count: int = 30,
    size: float = 0.05,
    seed: int = 0,
    on_move: Callable[[int, int], None] = lambda done, total: None,
) -> list[Observation]:
    """Make random horizontal motions around the present position.

    The model infers them afterwards: a large one takes long, and the arm should not wait in the air.

    Args:
        arm: arm under control, in its safety envelope; the gripper over the table and in the camera's view.
        count: number of motions.
        size: nominal length of a motion in metres; lengths vary by ± 20 %.
        seed: random seed of the directions and lengths.
        on_move: called with the number of motions made so far and in all.

    Returns:
        Observations before, between and after the motions [count + 1].

    Raises:
        UserError: there are too few motions, they are too long, or the workspace has no room for them.
        ArmFault: a fault stopped the arm.
    """
    check_moves(count, size, arm.limits)
    rng = np.random.default_rng(seed)
    observations = [arm.observe()]
    start = observations[0].state[:2].astype(np.float64)
    for number in range(count):
        action = np.zeros(ACTION_DIM)
        action[:2] = _draw_move(rng, arm, start, size)
        arm.command(action)
        observations.append(arm.observe())
        on_move(number + 1, count)
    return observations


def approach(arm: SafetyEnvelope, place: tuple[float, float, float]) -> None:
    """Move the flange to a position on a straight line, within the safety envelope; the way must be free.

    Args:
        arm: arm under control, in its safety envelope.
        place: position of the flange [3], metres, base frame.

    Raises:
        UserError: the envelope keeps the arm from reaching the position.
        ArmFault: a fault stopped the arm.
    """
    longest = arm.limits.max_translation
    for _ in range(MAX_STEPS):
        away = np.subtract(place, arm.target[POSITION])
        if np.linalg.norm(away) < ARRIVED:
            return
        action = np.zeros(ACTION_DIM)
        action[POSITION] = away * min(1.0, longest / np.abs(away).max())
        arm.command(action)
    raise UserError(
        f"The arm can't reach {list(place)} m; its target is {np.round(arm.target[POSITION], 3).tolist()} m. The "
        f"workspace is from {arm.limits.workspace_low} to {arm.limits.workspace_high}."
    )


def _draw_move(rng: np.random.Generator, arm: SafetyEnvelope, start: np.ndarray, size: float) -> np.ndarray:
    """A random motion [2] that ends inside the workspace and near the start [2]."""
    place = arm.target[:2]
    low, high = np.array(arm.limits.workspace_low[:2]), np.array(arm.limits.workspace_high[:2])
    for _ in range(MAX_DRAWS):
        direction, length = rng.uniform(0, 2 * np.pi), size * rng.uniform(*LENGTHS)
        move = length * np.array([np.cos(direction), np.sin(direction)])
        end = place + move
        if np.all(end >= low) and np.all(end <= high) and np.linalg.norm(end - start) <= ROOM * size:
            return move
    raise UserError(
        f"From {np.round(place, 3).tolist()} m no motion of {100 * size:g} cm stays in the workspace, from "
        f"{low.tolist()} to {high.tolist()}. Start with the gripper over the middle of the table."
    )
