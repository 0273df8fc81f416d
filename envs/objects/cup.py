"""A cup, 6 cm wide and 8 cm high: a ring of upright boxes on a round bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.objects.object_spec import MEETS_ROBOT, MEETS_TABLE, Grasp, ObjectSpec, add_geom, resize_geom

if TYPE_CHECKING:
    import mujoco

RADIUS, HEIGHT, WALL = 0.030, 0.080, 0.003  # m
BOTTOM = 0.004  # m, half of the thickness
SIDES = 16
COLOR = (0.15, 0.35, 0.75)
GRASP_HEIGHT = 0.012  # m: grasped in its upper half, so that it hangs upright


def _add_geoms(body: mujoco.MjsBody) -> None:
    """The boxes collide with the fingers; a hidden cylinder collides with the table, which needs far fewer contacts."""
    from vjepa_sim.envs.engine import mujoco

    color, cylinder, box = [*COLOR, 1], mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_BOX
    add_geom(body, MEETS_TABLE, type=cylinder, size=[RADIUS, HEIGHT / 2, 0], mass=0.0, group=3)
    bottom = [0, 0, -HEIGHT / 2 + BOTTOM]
    add_geom(body, MEETS_ROBOT, type=cylinder, size=[RADIUS, BOTTOM, 0], pos=bottom, rgba=color, mass=0.03, group=1)
    for i in range(SIDES):
        angle = 2 * np.pi * i / SIDES
        add_geom(
            body,
            MEETS_ROBOT,
            type=box,
            size=[WALL / 2, RADIUS * np.tan(np.pi / SIDES), HEIGHT / 2],
            pos=[(RADIUS - WALL / 2) * np.cos(angle), (RADIUS - WALL / 2) * np.sin(angle), 0],
            quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)],
            rgba=color,
            mass=0.05 / SIDES,
            group=1,
        )


def _resize(kind: int, size: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """As :func:`.resize_geom`, but the thickness of the boxes is kept."""
    from vjepa_sim.envs.engine import mujoco

    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        scale = np.array([1, scale[0], scale[2]])
    return resize_geom(kind, size, scale)


CUP = ObjectSpec(
    name="cup",
    add_geoms=_add_geoms,
    half_height=HEIGHT / 2,
    color=COLOR,
    grasp=Grasp(height=GRASP_HEIGHT),
    round=True,
    resize=_resize,
)
