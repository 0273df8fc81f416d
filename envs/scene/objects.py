"""The things that are handled: a box and a cup."""

from __future__ import annotations

import numpy as np

from envs.engine import mujoco
from envs.scene.names import MEETS_BOTH, MEETS_ROBOT, MEETS_TABLE, OBJECT_BODY, OBJECT_JOINT

BOX_HALF_SIZE = np.array([0.021, 0.021, 0.027])
CUP_RADIUS, CUP_HEIGHT, CUP_WALL = 0.030, 0.080, 0.003
CUP_BOTTOM = 0.004  # m, half the thickness
CUP_SIDES = 16
OBJECT_BOUND = 0.12  # metres; no randomised object is larger than this, seen from its centre


def _object_body(spec: mujoco.MjSpec, height: float) -> mujoco.MjsBody:
    """A free body whose origin is the object's centre."""
    body = spec.worldbody.add_body(name=OBJECT_BODY, pos=[0.45, 0, height / 2])
    body.add_freejoint(name=OBJECT_JOINT)
    return body


def _add_part(body: mujoco.MjsBody, meets: tuple[int, int], **geometry) -> None:
    body.add_geom(contype=meets[0], conaffinity=meets[1], friction=[1.0, 0.01, 0.0005], condim=4, **geometry)


def add_box(spec: mujoco.MjSpec) -> None:
    """An upright box, 4.2 cm wide and 5.4 cm high."""
    body = _object_body(spec, 2 * BOX_HALF_SIZE[2])
    _add_part(
        body,
        MEETS_BOTH,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=BOX_HALF_SIZE,
        rgba=[0.75, 0.2, 0.15, 1],
        mass=0.06,
        group=1,
    )


def add_cup(spec: mujoco.MjSpec) -> None:
    """A cup: a ring of upright boards on a round bottom.

    The boards meet the fingers; the table meets one unseen cylinder around them, which costs far fewer contacts.
    """
    body = _object_body(spec, CUP_HEIGHT)
    color = [0.15, 0.35, 0.75, 1]
    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    _add_part(body, MEETS_TABLE, type=cylinder, size=[CUP_RADIUS, CUP_HEIGHT / 2, 0], mass=0.0, group=3)
    bottom = [0, 0, -CUP_HEIGHT / 2 + CUP_BOTTOM]
    _add_part(
        body, MEETS_ROBOT, type=cylinder, size=[CUP_RADIUS, CUP_BOTTOM, 0], pos=bottom, rgba=color, mass=0.03, group=1
    )
    for i in range(CUP_SIDES):
        angle = 2 * np.pi * i / CUP_SIDES
        _add_part(
            body,
            MEETS_ROBOT,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[CUP_WALL / 2, CUP_RADIUS * np.tan(np.pi / CUP_SIDES), CUP_HEIGHT / 2],
            pos=[(CUP_RADIUS - CUP_WALL / 2) * np.cos(angle), (CUP_RADIUS - CUP_WALL / 2) * np.sin(angle), 0],
            quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)],
            rgba=color,
            mass=0.05 / CUP_SIDES,
            group=1,
        )


def allow_any_object_size(model: mujoco.MjModel) -> None:
    """Make the object's bounding boxes so large that a randomised size needs no new ones.

    MuJoCo computes bounding volumes at compile time; a geom that outgrows them loses contacts and sinks.
    """
    body = model.body(OBJECT_BODY)
    first, count = int(model.body_bvhadr[body.id]), int(model.body_bvhnum[body.id])
    model.bvh_aabb[first : first + count] = [0, 0, 0, OBJECT_BOUND, OBJECT_BOUND, OBJECT_BOUND]
