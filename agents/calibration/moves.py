"""Small random horizontal moves, and how a model sees them."""

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
from vjepa_sim.world_model import WorldModel

LENGTHS = (0.8, 1.2)  # of a move, in units of their usual size
ROOM = 2.0  # sizes that the hand may be from where it started
MAX_DRAWS = 1000
MIN_MOVES = 6
GRID, ROUNDS = 13, 2  # moves tried along each axis, at first coarsely, then around the best
REACH = 0.075  # m, the longest move along an axis that is tried at first
OVER_TABLE = (0.46, 0.0, 0.25)  # m: the flange in the middle of our pictures, its fingers above any of our objects
MAX_STEPS, ARRIVED = 60, 0.005  # of an approach; m


@dataclass(frozen=True)
class Moves:
    """Horizontal moves of the hand.

    Attributes:
        inferred: [N, 2], metres: as a model saw them.
        true: [N, 2], metres along the base frame's x and y: as the arm measured them.
    """

    inferred: np.ndarray
    true: np.ndarray

    def to_csv(self) -> str:
        """A row for each, in metres."""
        lines = ["inferred_x,inferred_y,true_x,true_y"]
        lines += [",".join(f"{value:.6f}" for value in row) for row in np.hstack([self.inferred, self.true])]
        return "\n".join(lines) + "\n"


@torch.inference_mode()
def infer_move(model: WorldModel, before: Observation, after: np.ndarray) -> np.ndarray:
    """The horizontal move whose imagined outcome is nearest to a picture, by features alone.

    Args:
        model: that imagines.
        before: the move.
        after: it, uint8 [H, W, 3].

    Returns:
        x and y [2], float64, metres.
    """
    z, goal = model.encode(before.rgb)[0], model.encode(after)[0]
    state = torch.from_numpy(before.state)
    best, reach = np.zeros(2), REACH
    for _ in range(ROUNDS):
        along = np.linspace(-reach, reach, GRID)
        moves = best + np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
        actions = torch.zeros(len(moves), 1, ACTION_DIM)
        actions[:, 0, :2] = torch.from_numpy(moves)
        best = moves[int(feature_distance(model, z, state, actions, goal).argmin())]
        reach *= 2 / (GRID - 1)
    return best


def infer_moves(
    model: WorldModel,
    observations: list[Observation],
    on_move: Callable[[int, int], None] = lambda done, total: None,
) -> Moves:
    """What a model sees of moves, beside what the arm measured.

    Args:
        model: that infers.
        observations: before, between and after the moves.
        on_move: called with the numbers of moves inferred and in all.
    """
    total = len(observations) - 1
    inferred, true = np.empty((total, 2)), np.empty((total, 2))
    for number, (before, after) in enumerate(pairwise(observations)):
        inferred[number] = infer_move(model, before, after.rgb)
        true[number] = after.state[:2].astype(np.float64) - before.state[:2]
        on_move(number + 1, total)
    return Moves(inferred, true)


def check_moves(count: int, size: float, limits: SafetyLimits) -> None:
    """Refuse what :func:`make_moves` can't do.

    Raises:
        UserError: there are too few moves, or they are too long.
    """
    if count < MIN_MOVES:
        raise UserError(f"{count} moves are too few for a calibration; make at least {MIN_MOVES}, better 30.")
    if not 0 < LENGTHS[1] * size <= limits.max_translation:
        raise UserError(
            f"Moves of {100 * size:g} cm, give or take a fifth: the arm may be sent up to "
            f"{100 * limits.max_translation:g} cm, and {100 * size:g} must be above 0."
        )


def make_moves(
    arm: SafetyEnvelope,
    count: int = 30,
    size: float = 0.05,
    seed: int = 0,
    on_move: Callable[[int, int], None] = lambda done, total: None,
) -> list[Observation]:
    """Move the hand at random in a horizontal plane, about where it is.

    No model is asked meanwhile: a large one takes its time, and an arm should not wait in the air for it.

    Args:
        arm: simulated or real, in its envelope; the hand is over the table and in the camera's sight.
        count: of moves.
        size: of a move in metres, give or take a fifth.
        seed: of their directions.
        on_move: called with the numbers of moves made and in all.

    Returns:
        What was seen before, between and after the moves [count + 1].

    Raises:
        UserError: there are too few moves, they are too long, or there is no room for them.
        ArmFault: what stopped the arm.
    """
    check_moves(count, size, arm.limits)
    rng = np.random.default_rng(seed)
    observations = [arm.reset()]
    start = observations[0].state[:2].astype(np.float64)
    for number in range(count):
        action = np.zeros(ACTION_DIM)
        action[:2] = _draw_move(rng, arm, start, size)
        arm.command(action)
        observations.append(arm.observe())
        on_move(number + 1, count)
    return observations


def approach(arm: SafetyEnvelope, place: tuple[float, float, float]) -> None:
    """Bring the flange to a place in straight steps within the envelope; the way must be free.

    Args:
        arm: simulated or real.
        place: [3], metres, base frame.

    Raises:
        UserError: the envelope doesn't let it get there.
        ArmFault: what stopped the arm.
    """
    arm.reset()
    longest = arm.limits.max_translation
    for _ in range(MAX_STEPS):
        away = np.subtract(place, arm.target[POSITION])
        if np.linalg.norm(away) < ARRIVED:
            return
        action = np.zeros(ACTION_DIM)
        action[POSITION] = away * min(1.0, longest / np.abs(away).max())
        arm.command(action)
    raise UserError(
        f"The arm does not get to {list(place)} m; it is sent to {np.round(arm.target[POSITION], 3).tolist()} now. The "
        f"workspace is from {arm.limits.workspace_low} to {arm.limits.workspace_high}."
    )


def _draw_move(rng: np.random.Generator, arm: SafetyEnvelope, start: np.ndarray, size: float) -> np.ndarray:
    """A move [2] that ends inside the workspace and not far from the start [2]."""
    place = arm.target[:2]
    low, high = np.array(arm.limits.workspace_low[:2]), np.array(arm.limits.workspace_high[:2])
    for _ in range(MAX_DRAWS):
        direction, length = rng.uniform(0, 2 * np.pi), size * rng.uniform(*LENGTHS)
        move = length * np.array([np.cos(direction), np.sin(direction)])
        end = place + move
        if np.all(end >= low) and np.all(end <= high) and np.linalg.norm(end - start) <= ROOM * size:
            return move
    raise UserError(
        f"From {np.round(place, 3).tolist()} m no move of {100 * size:g} cm stays in the workspace, from "
        f"{low.tolist()} to {high.tolist()}. Start with the hand over the middle of the table."
    )
