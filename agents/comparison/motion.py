"""Measurements of a deployment's motion, and its differences from another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.agents.comparison.run_folder import RunFolder
from vjepa_sim.agents.deployment.deploy import EPISODES
from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.droid import find_episodes, read_episode
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import POSITION, ROTATION, difference

PARTED = 0.01  # m between the end effectors at which paths diverge


@dataclass(frozen=True)
class Motion:
    """Motion of a deployment; medians over all steps.

    Attributes:
        step_seconds: duration of a step, by the stamps.
        settling_m: distance between the commanded position and the one measured a step later, metres.
        settling_rad: angle between the commanded orientation and the one measured a step later, radians.
        carried_out: measured motion along the commanded one, as a share of it, over all steps together.
    """

    step_seconds: float
    settling_m: float
    settling_rad: float
    carried_out: float


@dataclass(frozen=True)
class Against:
    """Differences of a deployment from the first one.

    Attributes:
        picture: mean absolute difference of the first images, grey levels of 255; None if their sizes differ.
        parted_at: first step at which the end effectors are 1 cm apart, median over the episodes in which they are;
            None if they never are.
        parted: number of those episodes.
        episodes: number of episodes of both deployments.
    """

    picture: float | None
    parted_at: float | None
    parted: int
    episodes: int


def read_episodes(run: RunFolder) -> list[Episode]:
    """Read a deployment's recordings at full speed, in order.

    Raises:
        UserError: there are none, or one is damaged.
    """
    root = run.folder / EPISODES
    episodes = [read_episode(root / name) for name in find_episodes(root)]
    return [episode for episode in episodes if episode.details.get("speed", 1.0) == 1.0]


def measure_motion(episodes: list[Episode]) -> Motion:
    """Measure the motion of a deployment.

    Args:
        episodes: recordings.

    Raises:
        UserError: a recording holds no commands.
    """
    asked, moved, missed, steps = [], [], [], []
    for episode in episodes:
        if episode.commands is None:
            raise UserError("A recording holds no commands, so the arm's motion can't be compared with them.")
        commands, states = episode.commands[:-1], episode.states
        asked.append((commands - states[:-1])[:, POSITION])
        moved.append((states[1:] - states[:-1])[:, POSITION])
        missed.append(difference(states[1:], commands))
        steps.append(np.diff(episode.stamps))
    wanted, done, short = np.concatenate(asked), np.concatenate(moved), np.concatenate(missed)
    whole = float((wanted**2).sum())
    return Motion(
        step_seconds=float(np.median(np.concatenate(steps))),
        settling_m=float(np.median(np.linalg.norm(short[:, POSITION], axis=1))),
        settling_rad=float(np.median(np.linalg.norm(short[:, ROTATION], axis=1))),
        carried_out=float((wanted * done).sum() / whole) if whole > 0 else float("nan"),
    )


def measure_against(first: list[Episode], other: list[Episode]) -> Against:
    """Compare two deployments, episode by episode.

    Args:
        first, other: recordings of the first deployment and of the other.
    """
    pairs = list(zip(first, other, strict=False))
    pixels = [difference for a, b in pairs if (difference := _image_difference(a, b)) is not None]
    steps = [step for a, b in pairs if (step := _parted_at(a.states, b.states)) is not None]
    return Against(
        picture=float(np.mean(pixels)) if len(pixels) == len(pairs) else None,
        parted_at=float(np.median(steps)) if steps else None,
        parted=len(steps),
        episodes=len(pairs),
    )


def first_image(episode: Episode) -> np.ndarray:
    """First image of an episode, uint8 [H, W, 3]."""
    return np.asarray(episode.view("left").frames[0])


def _image_difference(a: Episode, b: Episode) -> float | None:
    first, second = first_image(a), first_image(b)
    if first.shape != second.shape:
        return None
    return float(np.abs(first.astype(np.int16) - second).mean())


def _parted_at(a: np.ndarray, b: np.ndarray) -> int | None:
    rows = min(len(a), len(b))
    apart = np.linalg.norm(a[:rows, POSITION] - b[:rows, POSITION], axis=1) > PARTED
    return int(np.argmax(apart)) if apart.any() else None
