"""Physics model of the loopback robot's arm: the FR3 of franka-sim, without its meshes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

DAMPING = 0.21  # Nm s/rad
# kg m², inertia of the rotors; with less than about 0.12 the last joint oscillates while it is held.
ARMATURE = 0.195
FRICTION = np.array([1.137, 1.137, 1.137, 1.137, 0.763, 0.44, 0.248])  # Nm, dry
COMPILER = '<mujoco><compiler fusestatic="false" balanceinertia="true"/></mujoco>'  # fusestatic would remove the flange
FLANGE_BODY = "link8"


def arm_model(urdf: Path, step: float) -> mujoco.MjModel:
    """The FR3 with seven hinges ``joint1`` to ``joint7`` and the body :data:`FLANGE_BODY`; nothing collides.

    Args:
        urdf: description of the robot; its meshes need not exist.
        step: physics time step, seconds.
    """
    import mujoco

    robot = ElementTree.parse(urdf).getroot()
    for link in robot.iter("link"):
        for shape in link.findall("visual") + link.findall("collision"):
            link.remove(shape)
    robot.append(ElementTree.fromstring(COMPILER))
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(robot, encoding="unicode"))
    model.opt.timestep = step
    model.opt.gravity[:] = 0  # the real robot compensates gravity itself
    model.dof_damping[:] = DAMPING
    model.dof_armature[:] = ARMATURE
    model.dof_frictionloss[:] = FRICTION
    return model
