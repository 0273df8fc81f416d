"""Parts of simulated grippers: firm finger pads, coupled joints, and a servo whose control is closedness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vjepa_sim.envs.grippers.gripper_spec import PREFIX

if TYPE_CHECKING:
    import mujoco

# Stiff, damped finger pads: the softer default lets a held object creep 7 mm in twenty moves.
PAD_SOLREF = [-10000.0, -300.0]
PAD_FRICTION = [2.0, 0.05, 0.0001]


def firm_pad(geom: mujoco.MjsGeom) -> None:
    """Give a finger's colliding geom the friction and stiffness to hold objects."""
    if geom.contype:
        geom.friction, geom.solref, geom.condim = PAD_FRICTION, PAD_SOLREF, 4
        geom.priority = 1


def follow_joint(spec: mujoco.MjSpec, follower: str, leader: str, ratio: float) -> None:
    """Hold a joint at ``ratio`` times another's position."""
    from vjepa_sim.envs.engine import mujoco

    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=follower,
        name2=leader,
        data=[0, ratio, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        solref=[0.01, 1.0],
    )


def couple_linkage(
    spec: mujoco.MjSpec, *, ratios: dict[str, float], closed: float, joint_range: tuple[float, float] | None = None
) -> None:
    """Drive one joint of a Robotiq's linkage and couple the others to it, so that the pads stay parallel.

    robosuite drives the two fingers independently: a cube slips out in two of three grasps.

    Args:
        spec: specification of the scene, changed in place.
        ratios: joints that keep the pads parallel, each with its ratio to the driven ``finger_joint``.
        closed: position of ``finger_joint`` at closedness 1, radians.
        joint_range: limits of all joints in radians, or None for robosuite's.
    """
    for joint in ("finger_joint", *ratios):
        element = spec.joint(PREFIX + joint)
        element.armature = 0.002
        element.damping = [0.02, 0, 0]
        if joint_range is not None:
            element.range = list(joint_range)
    for follower, ratio in ratios.items():
        follow_joint(spec, PREFIX + follower, PREFIX + "finger_joint", ratio)
    for side in ("left", "right"):
        for geom in list(spec.body(f"{PREFIX}{side}_inner_finger").geoms):
            firm_pad(geom)
        for name in ("outer_knuckle", "inner_knuckle"):
            for geom in list(spec.body(f"{PREFIX}{side}_{name}").geoms):
                if geom.contype:
                    spec.delete(geom)
    add_gripper_actuator(spec, PREFIX + "finger_joint", gain=20.0, span=closed, start=0.0, damping=0.6, force=3.0)


def add_gripper_actuator(
    spec: mujoco.MjSpec, joint: str, *, gain: float, span: float, start: float, damping: float, force: float
) -> None:
    """Add the actuator ``gripper``: a servo from closedness c to the joint position ``start + span c``.

    Args:
        spec: specification of the scene, changed in place.
        joint: name of the driven joint.
        gain: stiffness, Nm/rad or N/m.
        span: travel from open to closed, radians or metres.
        start: joint position when open, radians or metres.
        damping: damping, Nms/rad or Ns/m.
        force: largest torque or force, Nm or N.
    """
    from vjepa_sim.envs.engine import mujoco

    actuator = spec.add_actuator(name="gripper", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.gainprm[0] = gain * span
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.biasprm[:3] = [gain * start, -gain, -damping]
    actuator.ctrllimited, actuator.ctrlrange = 1, [0, 1]
    actuator.forcelimited, actuator.forcerange = 1, [-force, force]
