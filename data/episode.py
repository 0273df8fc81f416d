"""One trajectory in memory: what every reader yields and every writer takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from envs.errors import UserError


@dataclass(frozen=True)
class Camera:
    """One camera's video of an episode.

    Attributes:
        serial: the camera's name in files.
        frames: uint8 [T, H, W, 3].
        extrinsics: pose of the camera in the robot's base frame [6]: metres and extrinsic "xyz" Euler radians.
        intrinsics: pinhole matrix [3, 3] in pixels, or None if unknown.
    """

    serial: str
    frames: np.ndarray
    extrinsics: np.ndarray
    intrinsics: np.ndarray | None = None


@dataclass(frozen=True)
class Episode:
    """A trajectory: row t of every array belongs to the same moment.

    Attributes:
        camera: the exocentric camera ("left").
        states: float64 [T, 7], measured, see :mod:`envs.pose`.
        commands: float64 [T, 7], the state that the arm was sent to at row t (absolute); the last row repeats it.
        stamps: float64 [T], seconds, increasing.
        joints: float64 [T, 7], radians.
        task: what was asked for, in words.
        success: whether it was achieved.
        behavior: which policy acted.
        seed: the seed the scene was drawn from, or None for a real one.
        privileged: arrays [T, …] that only a simulator knows (``object_position`` in metres), for probes, never for agents.
        details: whatever else should stay with the episode (JSON-compatible).
    """

    camera: Camera
    states: np.ndarray
    commands: np.ndarray
    stamps: np.ndarray
    joints: np.ndarray
    task: str
    success: bool
    behavior: str
    seed: int | None = None
    privileged: dict[str, np.ndarray] = field(default_factory=dict)
    details: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.states)
        shapes = {
            "states": (self.states, (rows, 7)),
            "commands": (self.commands, (rows, 7)),
            "stamps": (self.stamps, (rows,)),
            "joints": (self.joints, (rows, 7)),
        }
        shapes |= {f"privileged {name}": (array, (rows, *array.shape[1:])) for name, array in self.privileged.items()}
        for name, (array, shape) in shapes.items():
            if array.shape != shape:
                raise UserError(f"Episode {name} have shape {array.shape}; expected {shape}.")
            if not np.all(np.isfinite(array)):
                raise UserError(f"Episode {name} contain numbers that are not finite.")
        if np.shape(self.camera.extrinsics) != (6,) or not np.all(np.isfinite(self.camera.extrinsics)):
            raise UserError("Episode extrinsics must be 6 finite numbers: metres and radians in the base frame.")
        frames = self.camera.frames
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[0] != rows or frames.shape[3] != 3:
            raise UserError(
                f"Episode frames have shape {frames.shape} and type {frames.dtype}; expected uint8 ({rows}, H, W, 3)."
            )
        if rows < 2:
            raise UserError(f"An episode needs at least 2 rows; {rows} given.")
        if np.any(np.diff(self.stamps) <= 0):
            raise UserError("Episode stamps must increase from row to row.")

    def __len__(self) -> int:
        return len(self.states)

    @property
    def period(self) -> float:
        """Median seconds between two rows."""
        return float(np.median(np.diff(self.stamps)))
