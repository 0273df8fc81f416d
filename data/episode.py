"""One trajectory: the type that every reader returns and every writer takes."""

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
MAX_NAME = 64  # characters of a role or serial; they become parts of file names
SERIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Camera:
    """One camera's video of an episode.

    Attributes:
        serial: Name of the camera in files: at most 64 letters, digits, dots, hyphens and underscores, beginning with
            no dot or hyphen; see :func:`as_serial`.
        frames: uint8 [T, H, W, 3], in memory, or decoded when indexed.
        role: Place in the setup: DROID's ``ext1``, ``ext2`` and ``wrist``, or any other name in lower-case letters,
            digits, hyphens and underscores; one that begins with ``wrist`` moves with the end effector.
        extrinsics: float64 [T, 6], camera pose in the robot base frame at every row, metres and extrinsic "xyz" Euler
            angles in radians, z forward, y down; None if unknown.
        intrinsics: Pinhole matrix [3, 3] in pixels, or None if unknown.
    """

    serial: str
    frames: np.ndarray | LazyFrames
    _: KW_ONLY
    role: str = "ext1"
    extrinsics: np.ndarray | None = None
    intrinsics: np.ndarray | None = None


@dataclass(frozen=True)
class Episode:
    """A trajectory: row t of every array is the same moment.

    Attributes:
        cameras: At least one; roles differ, and so do serials.
        states: float64 [T, 7], measured, see :mod:`vjepa_sim.envs.pose`.
        stamps: float64 [T], seconds, increasing.
        commands: float64 [T, 7], target state commanded at row t (absolute), repeated in the last row; None if
            unknown.
        joints: float64 [T, J], angles of the arm's J joints in radians; None if unknown.
        task: Task description in words.
        success: Whether the task was achieved; None if unknown.
        behavior: Name of the policy that acted.
        seed: Seed of the scene; None for a real one.
        privileged: Arrays [T, …] available in simulation only (``object_position`` in metres); for probes, never for
            agents.
        extras: Further arrays [T, …] of the format, by DROID's path (``observation/controller_info/…``) or the
            format's own name.
        details: Further JSON-compatible values kept with the episode, such as ``gripper``.
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
        serials = [camera.serial for camera in self.cameras]
        if len(set(serials)) < len(serials):
            raise UserError(f"Episode cameras have the serials {serials}; each needs one of its own.")

    def __len__(self) -> int:
        return len(self.states)

    @property
    def period(self) -> float:
        """Median seconds between two rows."""
        return float(np.median(np.diff(self.stamps)))

    def view(self, name: str = "left") -> Camera:
        """A camera by role (``ext1``, ``ext2``, ``wrist``, …), by side (``left``, ``right``), or by serial.

        Of the exocentric cameras (:func:`exocentric`), ``left`` is the one with the largest y, as in DROID, and
        ``right`` the one with the smallest; a single one is ``left``.

        Raises:
            UserError: The episode has no such camera.
        """
        cameras = {camera.role: camera for camera in self.cameras}
        role = role_of_view(
            name,
            {role: camera.serial for role, camera in cameras.items()},
            {role: camera.extrinsics for role, camera in cameras.items()},
        )
        return cameras[role]


def is_role(name: object) -> bool:
    """Whether a name is valid as a camera role."""
    return isinstance(name, str) and len(name) <= MAX_NAME and bool(NAME.fullmatch(name))


def is_serial(name: object) -> bool:
    """Whether a name is valid as a camera serial, and so as a part of a file name."""
    return isinstance(name, str) and len(name) <= MAX_NAME and bool(SERIAL.fullmatch(name))


def as_serial(name: str) -> str:
    """A camera's name in a foreign data set as a serial: other characters become hyphens."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-")[:MAX_NAME] or "camera"


def exocentric(roles: Iterable[str]) -> list[str]:
    """Roles that ``left`` and ``right`` select from: ``ext1`` and ``ext2`` if present, else all cameras that don't move
    with the end effector."""
    beside = [role for role in roles if not role.startswith(WRIST)]
    return [role for role in beside if role in EXOCENTRIC_ROLES] or beside


def assign_roles(beside: Iterable[str], wrist: Iterable[str], taken: Mapping[str, str] | None = None) -> dict[str, str]:
    """Assign roles to cameras by name.

    The first two beside the arm become ``ext1`` and ``ext2``, the first on the end effector ``wrist``, as far as these
    roles are free; the role of every further camera is made from its name.

    Args:
        beside: Names of the cameras beside the arm.
        wrist: Names of the cameras that move with the end effector.
        taken: Roles with known cameras; they come first.

    Returns:
        Camera names by role.
    """
    found = dict(taken or {})
    for names, usual, prefix in ((beside, EXOCENTRIC_ROLES, ""), (wrist, (WRIST,), f"{WRIST}-")):
        free = [role for role in usual if role not in found]
        for name in names:
            found[free.pop(0) if free else _own_role(name, prefix, found)] = name
    return dict(sorted(found.items(), key=lambda item: ROLES.index(item[0]) if item[0] in ROLES else len(ROLES)))


def _own_role(name: str, prefix: str, found: Mapping[str, str]) -> str:
    words = re.sub("[^a-z0-9]+", "-", name.rsplit(".", 1)[-1].lower())[: MAX_NAME // 2].strip("-") or "camera"
    role = words if words.startswith(prefix) else prefix + words
    if not prefix and role.startswith(WRIST):
        role = f"camera-{role}"
    number = 2
    while (numbered := role if role not in found else f"{role}-{number}") in found:
        number += 1
    return numbered


def role_of_view(view: str, serials: dict[str, str], extrinsics: dict[str, np.ndarray | None]) -> str:
    """The role of the camera with a role, side or serial; see :meth:`Episode.view`.

    Args:
        view: Role, side or serial.
        serials: Serials of all cameras, by role.
        extrinsics: Camera poses [T, 6] by role, None if unknown.

    Raises:
        UserError: There is no such camera.
    """

    def to_the_right(role: str) -> tuple[float, str]:
        poses = extrinsics[role]
        return (0.0 if poses is None else -float(poses[0, 1]), role)

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
    if not is_serial(camera.serial):
        raise UserError(
            f"The camera {camera.role} has the serial {camera.serial!r}; expected at most {MAX_NAME} letters, digits, "
            "dots, hyphens and underscores, the first of them no dot or hyphen: it becomes the name of a file."
        )
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
