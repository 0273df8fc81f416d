"""The arm of robosuite, driven by position servos."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from pathlib import Path

import numpy as np

from vjepa_sim.envs.arms import ArmSpec
from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.grippers import GripperSpec
from vjepa_sim.envs.grippers.gripper_spec import PREFIX
from vjepa_sim.envs.scene.names import END_EFFECTOR_BODY, FLANGE_SITE, ROBOT


def robosuite_spec(arm: ArmSpec, gripper: GripperSpec) -> tuple[mujoco.MjSpec, list[Path]]:
    """Specification of arm, gripper and room from robosuite, and the XML files that it is made of.

    Raises:
        UserError: robosuite has no such model.
    """
    # robosuite prints warnings at import, and later through its logger.
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import robosuite.models.robots
        from robosuite.models.arenas import EmptyArena
        from robosuite.models.bases import NullMount
        from robosuite.models.grippers import GRIPPER_MAPPING, gripper_factory
        from robosuite.models.tasks import ManipulationTask

        make_arm = getattr(robosuite.models.robots, arm.robosuite, None)
        if make_arm is None or gripper.robosuite not in GRIPPER_MAPPING:
            missing = f"arm {arm.robosuite!r}" if make_arm is None else f"gripper {gripper.robosuite!r}"
            raise UserError(f"robosuite {robosuite.__version__} has no model of {missing}.")
        robot, base, arena = make_arm(), NullMount(), EmptyArena()
        robot.add_base(base)  # the pedestal of RethinkMount would be a fifth of all visible faces
        model = gripper_factory(gripper.robosuite, idn="0_right")  # pyright: ignore[reportArgumentType]  # str in use
        robot.add_gripper(model)
        xml = ManipulationTask(arena, robot).get_xml()
    spec = mujoco.MjSpec.from_string(xml)
    return spec, [Path(part.file) for part in (robot, base, model, arena)] + asset_files(spec)


def check_names(spec: mujoco.MjSpec, arm: ArmSpec, gripper: GripperSpec) -> None:
    """Raise :class:`.UserError` for a joint or body of arm or gripper that robosuite's model lacks."""
    joints, bodies = [each.name for each in spec.joints], [each.name for each in spec.bodies]
    of_arm, of_gripper = f"arm {arm.name!r}", f"gripper {gripper.name!r}"
    for owner, kind, names, there in (
        (of_arm, "joint", arm.joints, joints),
        (of_arm, "body", (arm.flange[0], *arm.colliding), bodies),
        (of_gripper, "joint", [PREFIX + name for name in gripper.fingers], joints),
    ):
        for name in names:
            if name not in there:
                raise unknown_name(f"{kind} of {owner}", name, there)


def asset_files(spec: mujoco.MjSpec) -> list[Path]:
    """Files of meshes and textures that a specification names by absolute paths."""
    named = [asset.file for asset in (*spec.meshes, *spec.textures, *spec.hfields)]
    return [Path(file) for file in named if os.path.isabs(file)]


def strip(spec: mujoco.MjSpec, arm: ArmSpec) -> None:
    """Remove the parts of robosuite's scene that our own servos, cameras and contacts replace."""
    for element in [*spec.actuators, *spec.equalities, *spec.tendons, *spec.sensors, *spec.cameras, *spec.lights]:
        spec.delete(element)
    for name in ("left_eef_target", "right_eef_target"):
        spec.delete(spec.body(name))
    for body in spec.bodies:
        for site in list(body.sites):
            spec.delete(site)
        for geom in list(body.geoms):
            colliding = geom.contype or geom.conaffinity
            of_arm = body.name.startswith("robot0_") and body.name != END_EFFECTOR_BODY
            if colliding and of_arm and body.name not in arm.colliding:
                spec.delete(geom)
            elif colliding and body.name != "world":
                geom.contype, geom.conaffinity = ROBOT
                geom.group = 3  # not drawn
                geom.rgba = [0, 0, 0, 0]


def servo_arm(spec: mujoco.MjSpec, arm: ArmSpec) -> None:
    """Add position servos and gravity compensation to the arm, and the flange frame of the states."""
    for body in spec.bodies:
        if body.name.startswith(("robot0", "gripper0")):
            body.gravcomp = 1.0
    for joint, kp, kv, torque in zip(arm.joints, arm.stiffness, arm.damping, arm.torque, strict=True):
        spec.joint(joint).armature = arm.armature
        actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=kp, kv=kv)
        actuator.forcelimited = 1
        actuator.forcerange = [-torque, torque]
    body, position = arm.flange
    spec.body(body).add_site(name=FLANGE_SITE, pos=list(position), group=4)


def mount_gripper(spec: mujoco.MjSpec, arm: ArmSpec, gripper: GripperSpec) -> None:
    """Mount the gripper: at flange yaw ``gripper.mount_yaw`` its fingers open along the base frame's y axis."""
    quaternion = np.empty(4)
    mujoco.mju_mulQuat(quaternion, np.array(arm.end_effector_quaternion), np.array(gripper.mount_quaternion))
    spec.body(END_EFFECTOR_BODY).quat = quaternion
