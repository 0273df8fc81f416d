"""One deployment's motion in numbers, and against another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.agents.comparison.run_folder import RunFolder
from vjepa_sim.agents.deployment.deploy import EPISODES
from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.droid import find_episodes, read_episode
from vjepa_sim.envs.pose import POSITION, ROTATION, difference

PARTED = 0.01  # m between two hands that no longer do the same


@dataclass(frozen=True)
class Motion:
    """Medians over all steps, unless said otherwise.

    Attributes:
        step_seconds: from row to row, by the stamps.
        settling_m: metres from where the arm was sent to where it was measured a step later.
        settling_rad: radians likewise.
        carried_out: how far the arm moved along what was asked of it, as a share of that, over all steps.
    """

    step_seconds: float
    settling_m: float
    settling_rad: float
    carried_out: float


@dataclass(frozen=True)
class Against:
    """One rung against the first.

    Attributes:
        picture: mean absolute difference of the first pictures, grey levels of 255; None if their sizes differ.
        parted_at: first step at which the hands are 1 cm apart, median over the episodes in which they part; None if
            they never do.
        parted: in how many they do.
        episodes: that both have.
    """

    picture: float | None
    parted_at: float | None
    parted: int
    episodes: int


def read_episodes(run: RunFolder) -> list[Episode]:
    """A deployment's recordings, in order, but for those at another speed than usual.

    Raises:
        UserError: there are none, or one is damaged.
    """
    root = run.folder / EPISODES
    episodes = [read_episode(root / name) for name in find_episodes(root)]
    return [episode for episode in episodes if episode.details.get("speed", 1.0) == 1.0]


def measure_motion(episodes: list[Episode]) -> Motion:
    """The numbers of a rung."""
    asked, moved, missed, steps = [], [], [], []
    for episode in episodes:
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
    """How a rung differs from the first, episode by episode."""
    pairs = list(zip(first, other, strict=False))
    pictures = [_picture_difference(a, b) for a, b in pairs]
    steps = [step for a, b in pairs if (step := _parted_at(a.states, b.states)) is not None]
    return Against(
        picture=None if None in pictures else float(np.mean(pictures)),
        parted_at=float(np.median(steps)) if steps else None,
        parted=len(steps),
        episodes=len(pairs),
    )


def first_picture(episode: Episode) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return np.asarray(episode.view("left").frames[0])


def _picture_difference(a: Episode, b: Episode) -> float | None:
    first, second = first_picture(a), first_picture(b)
    if first.shape != second.shape:
        return None
    return float(np.abs(first.astype(np.int16) - second).mean())


def _parted_at(a: np.ndarray, b: np.ndarray) -> int | None:
    rows = min(len(a), len(b))
    apart = np.linalg.norm(a[:rows, POSITION] - b[:rows, POSITION], axis=1) > PARTED
    return int(np.argmax(apart)) if apart.any() else None
