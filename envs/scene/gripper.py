"""Two grippers. Both end up with one actuator, "gripper", whose control is closedness: 0 open, 1 closed."""

from __future__ import annotations

from envs.engine import mujoco

ROBOTIQ_CLOSED = 0.8  # rad, finger_joint
PANDA_HAND_OPEN = 0.04  # m, each finger

# Stiff, damped finger pads: the softer default lets a held object creep 7 mm in twenty moves.
PAD_SOLREF = [-10000.0, -300.0]
PAD_FRICTION = [2.0, 0.05, 0.0001]


def couple_robotiq(spec: mujoco.MjSpec) -> None:
    """Drive one joint of the 2F-85 and couple the linkage, so that the pads stay parallel.

    robosuite drives its two fingers independently, which lets a cube slip out in two of three tries.
    """
    prefix = "gripper0_right_"
    # Straight on the flange, as in DROID: at yaw 0 the fingers open along the base frame's y.
    spec.body("robot0_right_hand").quat = [1, 0, 0, 0]
    followers = {
        "right_outer_knuckle_joint": 1.0,
        "left_inner_knuckle_joint": 1.0,
        "right_inner_knuckle_joint": 1.0,
        "left_inner_finger_joint": -1.0,
        "right_inner_finger_joint": -1.0,
    }
    for joint in ("finger_joint", *followers):
        element = spec.joint(prefix + joint)
        element.armature = 0.002
        element.damping = [0.02, 0, 0]
    for follower, ratio in followers.items():
        spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            name1=prefix + follower,
            name2=prefix + "finger_joint",
            data=[0, ratio, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            solref=[0.01, 1.0],
        )
    for side in ("left", "right"):
        for geom in list(spec.body(f"{prefix}{side}_inner_finger").geoms):
            _firm_pad(geom)
        for name in ("outer_knuckle", "inner_knuckle"):
            for geom in list(spec.body(f"{prefix}{side}_{name}").geoms):
                if geom.contype:
                    spec.delete(geom)
    _add_gripper_actuator(
        spec, prefix + "finger_joint", gain=20.0, span=ROBOTIQ_CLOSED, start=0.0, damping=0.6, force=3.0
    )


def couple_panda_hand(spec: mujoco.MjSpec) -> None:
    """Drive one finger of the Franka Hand and mirror the other."""
    prefix = "gripper0_right_"
    for joint in ("finger_joint1", "finger_joint2"):
        element = spec.joint(prefix + joint)
        element.armature, element.damping, element.frictionloss = 0.5, [20.0, 0, 0], 0.0
    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=prefix + "finger_joint2",
        name2=prefix + "finger_joint1",
        data=[0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        solref=[0.01, 1.0],
    )
    for body in spec.bodies:
        if "finger" in body.name:
            for geom in list(body.geoms):
                _firm_pad(geom)
    _add_gripper_actuator(
        spec,
        prefix + "finger_joint1",
        gain=4000.0,
        span=-PANDA_HAND_OPEN,
        start=PANDA_HAND_OPEN,
        damping=150.0,
        force=60.0,
    )


def _firm_pad(geom: mujoco.MjsGeom) -> None:
    if geom.contype:
        geom.friction, geom.solref, geom.condim = PAD_FRICTION, PAD_SOLREF, 4
        geom.priority = 1


def _add_gripper_actuator(
    spec: mujoco.MjSpec, joint: str, *, gain: float, span: float, start: float, damping: float, force: float
) -> None:
    """A servo from closedness c to the joint position ``start + span c``."""
    actuator = spec.add_actuator(name="gripper", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.gainprm[0] = gain * span
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.biasprm[:3] = [gain * start, -gain, -damping]
    actuator.ctrllimited, actuator.ctrlrange = 1, [0, 1]
    actuator.forcelimited, actuator.forcerange = 1, [-force, force]
