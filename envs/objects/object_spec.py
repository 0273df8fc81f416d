"""Specification of an object to manipulate, and the registry of objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.part_checks import are_numbers, check_fields, is_number, is_text
from vjepa_sim.envs.registry import Registry

if TYPE_CHECKING:
    import mujoco

MIN_HALF_HEIGHT = 1e-3  # m
FRICTION = (1.0, 0.01, 0.0005)
# What a part of an object collides with, as (contype, conaffinity): the robot, the table, or both.
MEETS_ROBOT, MEETS_TABLE, MEETS_BOTH = (0, 1), (0, 2), (0, 3)


@dataclass(frozen=True)
class Grasp:
    """Grasp of an upright object from above by two parallel fingers.

    Attributes:
        height: height of the middle of the finger pads above the object's centre, metres.
        yaw_period: rotation after which the object has the same pair of faces, radians; None for an object that is
            round.
    """

    height: float = 0.0
    yaw_period: float | None = None

    def yaw(self, object_yaw: float) -> float:
        """Yaw of the line along which the fingers open, for an object rotated by ``object_yaw``, both in radians."""
        if self.yaw_period is None:
            return 0.0
        half = self.yaw_period / 2
        return (object_yaw + half) % self.yaw_period - half  # the nearest pair of faces


@dataclass(frozen=True, eq=False, kw_only=True)
class ObjectSpec:
    """An object with a free body whose origin is its centre; z is up when it stands.

    Attributes:
        name: name on the command line.
        add_geoms: function that adds the geoms to the body, see :func:`add_geom`.
        half_height: distance from the centre to the lowest point, metres.
        color: red, green and blue in 0..1; replaced by a randomised color.
        grasp: how it is grasped, or in words why it can't be.
        round: whether it is rotationally symmetric: width and depth are then scaled alike.
        resize: function that scales a geom; its arguments are the geom's MuJoCo type (an int), its half sizes [3] and
            the object's scale [3], its result the new half sizes [3]. None for :func:`resize_geom`.
    """

    name: str
    add_geoms: Callable[[mujoco.MjsBody], None]
    half_height: float
    color: tuple[float, float, float]
    grasp: Grasp | str
    round: bool = False
    resize: Callable[[int, np.ndarray, np.ndarray], np.ndarray] | None = None

    def held(self, task: str) -> Grasp:
        """The grasp of the object, for a task that needs one.

        Raises:
            UserError: it can't be grasped; the message has task, object and reason.
        """
        if isinstance(self.grasp, str):
            raise UserError(f"Task {task!r} needs an object that can be grasped; {self.name!r} can't: {self.grasp}.")
        return self.grasp


def add_geom(body: mujoco.MjsBody, meets: tuple[int, int], **geometry: Any) -> None:
    """Add a part to an object's body.

    Args:
        body: body of the object.
        meets: ``MEETS_ROBOT``, ``MEETS_TABLE`` or ``MEETS_BOTH``.
        geometry: arguments of ``MjsBody.add_geom``: type, size, pos, quat, rgba, mass. Group 1 is drawn, group 3 isn't.
    """
    body.add_geom(contype=meets[0], conaffinity=meets[1], friction=FRICTION, condim=4, **geometry)


def resize_geom(kind: int, size: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Half sizes [3] of a geom of MuJoCo type ``kind`` after scaling by [3]; radii scale with the object's width."""
    from vjepa_sim.envs.engine import mujoco

    if kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE):
        return size * [scale[0], scale[2], 1]
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return size * scale[0]
    return size * scale


def _check_object(thing: ObjectSpec) -> None:
    grasp = thing.grasp
    check_fields(
        "object",
        thing,
        (
            ("add_geoms", callable(thing.add_geoms), "a function that adds geoms to a body"),
            ("half_height", is_number(thing.half_height, low=MIN_HALF_HEIGHT), f"at least {MIN_HALF_HEIGHT} metres"),
            ("color", are_numbers(thing.color, 3, 0, 1), "red, green and blue from 0 to 1"),
            (
                "grasp",
                is_text(grasp)
                or (
                    isinstance(grasp, Grasp)
                    and is_number(grasp.height)
                    and (grasp.yaw_period is None or is_number(grasp.yaw_period, low=1e-3))
                ),
                "a Grasp of finite numbers, or in words why it can't be grasped",
            ),
            ("resize", thing.resize is None or callable(thing.resize), "a function or None"),
        ),
    )


OBJECTS: Registry[ObjectSpec] = Registry("object", ObjectSpec, _check_object)
