"""One trajectory: what every reader yields and every writer takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import NAME

EXOCENTRIC_ROLES = ("ext1", "ext2")  # DROID's two cameras beside the arm
WRIST = "wrist"  # DROID's camera on the end effector; further ones are wrist-2, wrist-left, …
ROLES = (*EXOCENTRIC_ROLES, WRIST)
SIDES = ("left", "right")


@dataclass(frozen=True)
class Camera:
    """One camera's video of an episode.

    Attributes:
        serial: the camera's name in files.
        frames: uint8 [T, H, W, 3], in memory, or decoded when indexed.
        role: its place in the setup: DROID's ``ext1``, ``ext2`` and ``wrist``, or any other name in lower-case letters,
            digits, hyphens and underscores; one that begins with ``wrist`` moves with the end effector.
        extrinsics: float64 [T, 6], pose of the camera in the robot's base frame at every row, metres and extrinsic
            "xyz" Euler radians, z forward, y down; None if unknown.
        intrinsics: pinhole matrix [3, 3] in pixels, or None if unknown.
    """

    serial: str
    frames: np.ndarray | LazyFrames
    _: KW_ONLY
    role: str = "ext1"
    extrinsics: np.ndarray | None = None
    intrinsics: np.ndarray | None = None


@dataclass(frozen=True)
class Episode:
    """A trajectory: row t of every array belongs to the same moment.

    Attributes:
        cameras: at least one, each with a role of its own.
        states: float64 [T, 7], measured, see :mod:`vjepa_sim.envs.pose`.
        stamps: float64 [T], seconds, increasing.
        commands: float64 [T, 7], the state that the arm was sent to at row t (absolute), the last row repeats it;
            None if unknown.
        joints: float64 [T, J], radians, of the arm's J joints; None if unknown.
        task: what was asked for, in words.
        success: whether it was achieved; None if nobody said.
        behavior: which policy acted.
        seed: the seed the scene was drawn from, or None for a real one.
        privileged: arrays [T, …] that only a simulator knows (``object_position`` in metres), for probes, never for
            agents.
        extras: arrays [T, …] that the format holds besides, by DROID's path (``observation/controller_info/…``) or
            the format's own name.
        details: whatever else should stay with the episode (JSON-compatible), such as ``gripper``.
    """

    cameras: tuple[Camera, ...]
    states: np.ndarray
    stamps: np.ndarray
    _: KW_ONLY
    commands: np.ndarray | None = None
    joints: np.ndarray | None = None
    task: str = ""
    success: bool | None = None
    behavior: str = "unknown"
    seed: int | None = None
    privileged: dict[str, np.ndarray] = field(default_factory=dict)
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    details: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.states)
        if rows < 2:
            raise UserError(f"An episode needs at least 2 rows; {rows} given.")
        _check("states", self.states, (rows, 7))
        _check("stamps", self.stamps, (rows,))
        if self.commands is not None:
            _check("commands", self.commands, (rows, 7))
        if self.joints is not None:
            _check("joints", self.joints, (rows, *self.joints.shape[1:2]))
        for name, array in self.privileged.items():
            _check(f"privileged {name}", array, (rows, *array.shape[1:]))
        for name, array in self.extras.items():
            if array.shape[:1] != (rows,):
                raise UserError(f"Episode {name} have {array.shape[:1]} rows; expected {rows}.")
        late = np.flatnonzero(np.diff(self.stamps) <= 0)
        if len(late):
            raise UserError(f"Episode stamps must increase from row to row; row {late[0] + 1} doesn't.")
        if not self.cameras:
            raise UserError("An episode needs at least one camera.")
        roles = [camera.role for camera in self.cameras]
        if len(set(roles)) < len(roles) or not all(map(is_role, roles)):
            raise UserError(
                f"Episode cameras have the roles {roles}; each needs a name of its own in lower-case letters, digits, "
                f"and single hyphens or underscores between them, such as {', '.join(ROLES)}."
            )
        for camera in self.cameras:
            _check_camera(camera, rows)

    def __len__(self) -> int:
        return len(self.states)

    @property
    def period(self) -> float:
        """Median seconds between two rows."""
        return float(np.median(np.diff(self.stamps)))

    def view(self, name: str = "left") -> Camera:
        """A camera by role (``ext1``, ``ext2``, ``wrist``, …), by side (``left``, ``right``), or by serial.

        Of the exocentric cameras (:func:`exocentric`), the one with the largest y is the left one, as in DROID, and the
        one with the smallest the right one; a single one is the left one.

        Raises:
            UserError: the episode has no such camera.
        """
        cameras = {camera.role: camera for camera in self.cameras}
        role = role_of_view(
            name,
            {role: camera.serial for role, camera in cameras.items()},
            {role: camera.extrinsics for role, camera in cameras.items()},
        )
        return cameras[role]


def is_role(name: object) -> bool:
    """Whether a camera's role can have this name."""
    return isinstance(name, str) and bool(NAME.fullmatch(name))


def exocentric(roles: Iterable[str]) -> list[str]:
    """The roles among which ``left`` and ``right`` choose: ``ext1`` and ``ext2`` where there are any, else all cameras
    that don't move with the end effector."""
    beside = [role for role in roles if not role.startswith(WRIST)]
    return [role for role in beside if role in EXOCENTRIC_ROLES] or beside


def assign_roles(beside: Iterable[str], wrist: Iterable[str], taken: Mapping[str, str] | None = None) -> dict[str, str]:
    """Camera by role, for cameras that have names of their own.

    The first two beside the arm are ``ext1`` and ``ext2``, the first on the end effector is ``wrist``, as far as these
    roles are free; every further camera has a role made of its name.

    Args:
        beside: names of the cameras that stand beside the arm.
        wrist: names of those that move with the end effector.
        taken: roles whose cameras are known already, which come first.
    """
    found = dict(taken or {})
    for names, usual, prefix in ((beside, EXOCENTRIC_ROLES, ""), (wrist, (WRIST,), f"{WRIST}-")):
        free = [role for role in usual if role not in found]
        for name in names:
            found[free.pop(0) if free else _own_role(name, prefix, found)] = name
    return dict(sorted(found.items(), key=lambda item: ROLES.index(item[0]) if item[0] in ROLES else len(ROLES)))


def _own_role(name: str, prefix: str, found: Mapping[str, str]) -> str:
    words = re.sub("[^a-z0-9]+", "-", name.rsplit(".", 1)[-1].lower()).strip("-") or "camera"
    role = words if words.startswith(prefix) else prefix + words
    if not prefix and role.startswith(WRIST):
        role = f"camera-{role}"
    number = 2
    while (numbered := role if role not in found else f"{role}-{number}") in found:
        number += 1
    return numbered


def role_of_view(view: str, serials: dict[str, str], extrinsics: dict[str, np.ndarray | None]) -> str:
    """The role of the camera that is meant by a role, a side or a serial; see :meth:`Episode.view`.

    Args:
        view: what was asked for.
        serials: of the cameras that are there, by role.
        extrinsics: their poses [T, 6], None if unknown.

    Raises:
        UserError: there is no such camera.
    """

    def to_the_right(role: str) -> tuple[float, str]:
        return (0.0 if extrinsics[role] is None else -float(extrinsics[role][0, 1]), role)

    sides = sorted(exocentric(serials), key=to_the_right)
    if view == "left" and sides:
        return sides[0]
    if view == "right" and len(sides) > 1:
        return sides[-1]
    for role, serial in serials.items():
        if view in (role, serial):
            return role
    have = ", ".join(f"{role} ({serial})" for role, serial in serials.items())
    raise UserError(f"no camera {view!r}; there is {have}. Ask for {', '.join(SIDES)}, a role, or a serial.")


def _check(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise UserError(f"Episode {name} have shape {array.shape}; expected {shape}.")
    if not np.all(np.isfinite(array)):
        row = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[0])
        raise UserError(f"Episode {name} contain numbers that are not finite, first in row {row}.")


def _check_camera(camera: Camera, rows: int) -> None:
    shape, kind = camera.frames.shape, camera.frames.dtype
    if kind != np.uint8 or len(shape) != 4 or shape[0] != rows or shape[3] != 3:
        raise UserError(
            f"Frames of camera {camera.serial} have shape {shape} and type {kind}; expected uint8 ({rows}, H, W, 3)."
        )
    if camera.extrinsics is not None:
        _check(f"extrinsics of camera {camera.serial}", camera.extrinsics, (rows, 6))
    if camera.intrinsics is not None and (
        camera.intrinsics.shape != (3, 3) or not np.all(np.isfinite(camera.intrinsics))
    ):
        raise UserError(f"Intrinsics of camera {camera.serial} must be 9 finite numbers [3, 3].")
