"""The arm as robosuite brings it, driven by position servos."""

from __future__ import annotations

import contextlib
import io
import logging

import numpy as np

from envs.engine import mujoco
from envs.scene.names import ARM_JOINTS, FLANGE_SITE, ROBOT

# Position servos on the joints: stiffness [Nm/rad], damping [Nms/rad], torque limit [Nm].
# Stiff, so that a full 7.5 cm step ends within 2 mm of its target.
SERVO_STIFFNESS = np.array([8000.0, 8000.0, 7000.0, 7000.0, 4000.0, 4000.0, 3000.0])
SERVO_DAMPING = np.array([310.0, 310.0, 255.0, 255.0, 100.0, 100.0, 70.0])
SERVO_TORQUE = np.array([87.0, 87.0, 87.0, 87.0, 60.0, 60.0, 60.0])
JOINT_ARMATURE = 0.3


def robosuite_spec(gripper: str) -> mujoco.MjSpec:
    """Arm, gripper and room as robosuite assembles them."""
    # robosuite prints warnings while it is imported and through its logger later.
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from robosuite.models.arenas import EmptyArena
        from robosuite.models.bases import NullMount
        from robosuite.models.grippers import gripper_factory
        from robosuite.models.robots import Panda
        from robosuite.models.tasks import ManipulationTask

        arm = Panda()
        arm.add_base(NullMount())  # RethinkMount's pedestal alone is a fifth of all visible faces
        arm.add_gripper(
            gripper_factory({"robotiq": "Robotiq85Gripper", "panda_hand": "PandaGripper"}[gripper], idn="0_right")
        )
        xml = ManipulationTask(EmptyArena(), arm).get_xml()
    return mujoco.MjSpec.from_string(xml)


def strip(spec: mujoco.MjSpec) -> None:
    """Remove what our own loop, camera and contacts replace."""
    for element in [*spec.actuators, *spec.tendons, *spec.sensors, *spec.cameras, *spec.lights]:
        spec.delete(element)
    for name in ("left_eef_target", "right_eef_target"):
        spec.delete(spec.body(name))
    for body in spec.bodies:
        for site in list(body.sites):
            spec.delete(site)
        for geom in list(body.geoms):
            colliding = geom.contype or geom.conaffinity
            # The links that can't reach the table need no contacts.
            far = body.name.startswith("robot0_link") and body.name not in ("robot0_link6", "robot0_link7")
            if colliding and far:
                spec.delete(geom)
            elif colliding and body.name != "world":
                geom.contype, geom.conaffinity = ROBOT
                geom.group = 3  # not drawn
                geom.rgba = [0, 0, 0, 0]


def servo_arm(spec: mujoco.MjSpec) -> None:
    """Position servos and gravity compensation for the arm; the flange frame DROID's states are given in."""
    for body in spec.bodies:
        if body.name.startswith(("robot0", "gripper0")):
            body.gravcomp = 1.0
    for joint, kp, kv, torque in zip(ARM_JOINTS, SERVO_STIFFNESS, SERVO_DAMPING, SERVO_TORQUE, strict=True):
        spec.joint(joint).armature = JOINT_ARMATURE
        actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=kp, kv=kv)
        actuator.forcelimited = 1
        actuator.forcerange = [-torque, torque]
    spec.body("robot0_link7").add_site(name=FLANGE_SITE, pos=[0, 0, 0.107], group=4)
