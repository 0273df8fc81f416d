"""What must be known of an object that is handled, and the objects that there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry

if TYPE_CHECKING:
    import mujoco

FRICTION = (1.0, 0.01, 0.0005)
# Who touches whom, as (contype, conaffinity): a part may meet the robot, the table, or both.
MEETS_ROBOT, MEETS_TABLE, MEETS_BOTH = (0, 1), (0, 2), (0, 3)


@dataclass(frozen=True)
class Grasp:
    """How two parallel fingers hold an upright object from above.

    Attributes:
        height: metres from the object's centre up to the middle of the finger pads.
        yaw_period: radians after which the object offers the same pair of faces; None where it looks the same from
            every side.
    """

    height: float = 0.0
    yaw_period: float | None = None

    def yaw(self, object_yaw: float) -> float:
        """Radians, of the line along which the fingers open about an object that is turned by ``object_yaw``."""
        if self.yaw_period is None:
            return 0.0
        half = self.yaw_period / 2
        return (object_yaw + half) % self.yaw_period - half  # the nearest pair of faces


@dataclass(frozen=True, eq=False)
class ObjectSpec:
    """An object with a free body whose origin is its centre; z is up when it stands.

    Attributes:
        name: as on the command line.
        add_geoms: called with the body; adds what is drawn and touched, see :func:`add_geom`.
        half_height: metres from the centre to the lowest point.
        color: red, green and blue in 0..1; a drawn look replaces it.
        grasp: how it is held, or in words why it can't be.
        round: whether it looks the same from every side: width and depth are then scaled alike.
        resize: half sizes [3] of a geom of a MuJoCo type (an int) after the object was scaled by [3], see
            :func:`resize_geom`.
    """

    name: str
    add_geoms: Callable[[mujoco.MjsBody], None]
    half_height: float
    color: tuple[float, float, float]
    grasp: Grasp | str
    round: bool = False
    resize: Callable[[int, np.ndarray, np.ndarray], np.ndarray] | None = None

    def held(self, task: str) -> Grasp:
        """How the object is held, for a task that needs that.

        Raises:
            UserError: it can't be held; the message names task, object and reason.
        """
        if isinstance(self.grasp, str):
            raise UserError(f"Task {task!r} needs an object that can be grasped; {self.name!r} can't: {self.grasp}.")
        return self.grasp


def add_geom(body: mujoco.MjsBody, meets: tuple[int, int], **geometry: Any) -> None:
    """Add a part to an object's body.

    Args:
        body: of the object.
        meets: :data:`MEETS_ROBOT`, :data:`MEETS_TABLE` or :data:`MEETS_BOTH`.
        geometry: of ``MjsBody.add_geom``: type, size, pos, quat, rgba, mass. Group 1 is drawn, group 3 isn't.
    """
    body.add_geom(contype=meets[0], conaffinity=meets[1], friction=FRICTION, condim=4, **geometry)


def resize_geom(kind: int, size: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Half sizes [3] of a geom of an object that was scaled by [3]; radii follow the object's width."""
    from vjepa_sim.envs.simulation.engine import mujoco

    if kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE):
        return size * [scale[0], scale[2], 1]
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return size * scale[0]
    return size * scale


OBJECTS: Registry[ObjectSpec] = Registry("object")
