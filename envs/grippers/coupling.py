"""Parts of simulated grippers: firm finger pads, coupled joints, and a servo whose control is closedness."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from vjepa_sim.envs.simulation.engine import mujoco

    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=follower,
        name2=leader,
        data=[0, ratio, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        solref=[0.01, 1.0],
    )


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
    from vjepa_sim.envs.simulation.engine import mujoco

    actuator = spec.add_actuator(name="gripper", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.gainprm[0] = gain * span
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.biasprm[:3] = [gain * start, -gain, -damping]
    actuator.ctrllimited, actuator.ctrlrange = 1, [0, 1]
    actuator.forcelimited, actuator.forcerange = 1, [-force, force]
