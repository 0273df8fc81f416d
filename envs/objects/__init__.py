"""Objects to manipulate, by name. Importing this package doesn't load MuJoCo."""

from vjepa_sim.envs.objects.box import BOX
from vjepa_sim.envs.objects.cup import CUP
from vjepa_sim.envs.objects.object_spec import (
    MEETS_BOTH,
    MEETS_ROBOT,
    MEETS_TABLE,
    OBJECTS,
    Grasp,
    ObjectSpec,
    add_geom,
    resize_geom,
)

for _spec in (CUP, BOX):  # in the order of tables and of collections
    OBJECTS.register(_spec)

__all__ = [
    "BOX",
    "CUP",
    "MEETS_BOTH",
    "MEETS_ROBOT",
    "MEETS_TABLE",
    "OBJECTS",
    "Grasp",
    "ObjectSpec",
    "add_geom",
    "resize_geom",
]
