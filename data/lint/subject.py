"""An episode under examination: what several checks look at, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.lint.finding import Finding
from vjepa_sim.data.motion import frame_differences, motion_energy, small_grey
from vjepa_sim.envs.pose import POSITION, difference


@dataclass(frozen=True)
class Subject:
    """An episode under examination.

    Attributes:
        number: Number of the episode in the reader.
        name: Name of the episode.
        episode: The episode, with extras.
        view: Camera whose images are examined, see :meth:`.Episode.view`.
    """

    number: int
    name: str
    episode: Episode
    view: str

    @cached_property
    def camera(self) -> Camera:
        """The camera whose images are examined."""
        return self.episode.view(self.view)

    @cached_property
    def steps(self) -> np.ndarray:
        """Pose and gripper differences from each row to the next [T - 1, 7], see :func:`.difference`."""
        return difference(self.episode.states[:-1], self.episode.states[1:])

    @cached_property
    def moved(self) -> np.ndarray:
        """Distances from each row to the next [T - 1], metres."""
        return np.linalg.norm(self.steps[:, POSITION], axis=1)

    @cached_property
    def grey(self) -> np.ndarray:
        """The reduced images in grey levels, uint8 [T, h, w]."""
        return small_grey(self.camera.frames)

    @cached_property
    def differences(self) -> np.ndarray:
        """Change of the reduced image from each row to the next [T - 1, h, w], grey levels."""
        return frame_differences(self.grey)

    @cached_property
    def energy(self) -> np.ndarray:
        """Motion in the image [T - 1, h, w], see :func:`.motion_energy`."""
        return motion_energy(self.differences)

    def finding(self, check: str, severity: str, what: str, *, remedy: str, row: int | None = None) -> Finding:
        """A finding about this episode."""
        return Finding(
            check=check,
            episode=self.name,
            number=self.number,
            row=None if row is None else int(row),
            severity=severity,
            what=what,
            remedy=remedy,
        )
