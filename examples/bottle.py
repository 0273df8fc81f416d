"""A new object: a bottle, 5 cm wide and 13 cm high.

Try it::

    vjepa-sim eval --plugin examples/bottle.py --object bottle --task grasp --episodes 20 --out results
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vjepa_sim.envs.objects import MEETS_BOTH, OBJECTS, Grasp, ObjectSpec, add_geom

if TYPE_CHECKING:
    import mujoco

HEIGHT = 0.13  # m
COLOR = (0.10, 0.45, 0.20)


def add_geoms(body: mujoco.MjsBody) -> None:
    """A body and a neck; the centre lies halfway up."""
    from vjepa_sim.envs.engine import mujoco

    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    for radius, low, high, mass in ((0.025, 0.0, 0.085, 0.08), (0.012, 0.085, HEIGHT, 0.01)):
        add_geom(
            body,
            MEETS_BOTH,
            type=cylinder,
            size=[radius, (high - low) / 2, 0],
            pos=[0, 0, (low + high) / 2 - HEIGHT / 2],
            rgba=[*COLOR, 1],
            mass=mass,
            group=1,
        )


OBJECTS.register(
    ObjectSpec(
        name="bottle",
        add_geoms=add_geoms,
        half_height=HEIGHT / 2,
        color=COLOR,
        grasp=Grasp(height=0.0),  # about the upper end of its body
        round=True,
    )
)
