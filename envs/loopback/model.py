"""The arm that moves behind the loopback robot: the FR3 that franka-sim ships, without its meshes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

DAMPING = 0.21  # Nm s/rad
# kg m². The rotors' inertia; with less than about 0.12 the last joint rings while it is held.
ARMATURE = 0.195
FRICTION = np.array([1.137, 1.137, 1.137, 1.137, 0.763, 0.44, 0.248])  # Nm, dry
COMPILER = '<mujoco><compiler fusestatic="false" balanceinertia="true"/></mujoco>'  # fusestatic would lose the flange
FLANGE_BODY = "link8"


def arm_model(urdf: Path, step: float) -> mujoco.MjModel:
    """The FR3 with seven hinges ``joint1`` to ``joint7`` and the body :data:`FLANGE_BODY`; nothing collides.

    Args:
        urdf: the robot's description; its meshes need not exist.
        step: seconds per step of physics.
    """
    import mujoco

    robot = ElementTree.parse(urdf).getroot()
    for link in robot.iter("link"):
        for shape in link.findall("visual") + link.findall("collision"):
            link.remove(shape)
    robot.append(ElementTree.fromstring(COMPILER))
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(robot, encoding="unicode"))
    model.opt.timestep = step
    model.opt.gravity[:] = 0  # the real robot carries its own weight, whatever the client commands
    model.dof_damping[:] = DAMPING
    model.dof_armature[:] = ARMATURE
    model.dof_frictionloss[:] = FRICTION
    return model
