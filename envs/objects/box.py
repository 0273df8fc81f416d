"""An upright box, 4.2 cm wide and 5.4 cm high."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.objects.object_spec import MEETS_BOTH, Grasp, ObjectSpec, add_geom

if TYPE_CHECKING:
    import mujoco

HALF_SIZE = np.array([0.021, 0.021, 0.027])  # m
COLOR = (0.75, 0.20, 0.15)


def _add_geoms(body: mujoco.MjsBody) -> None:
    from vjepa_sim.envs.engine import mujoco

    kind = mujoco.mjtGeom.mjGEOM_BOX
    add_geom(body, MEETS_BOTH, type=kind, size=HALF_SIZE, rgba=[*COLOR, 1], mass=0.06, group=1)


BOX = ObjectSpec(
    name="box",
    add_geoms=_add_geoms,
    half_height=float(HALF_SIZE[2]),
    color=COLOR,
    grasp=Grasp(yaw_period=np.pi / 2),
)
