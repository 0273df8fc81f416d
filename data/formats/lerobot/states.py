"""Find states and joints among a data set's features."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vjepa_sim.data.formats.format import digest_of
from vjepa_sim.data.formats.lerobot.layout import GRIPPER, JOINTS, POSE, POSE_AXES, STATE, Feature, Info
from vjepa_sim.envs.arms.panda import flange_poses
from vjepa_sim.envs.errors import UserError

Place = tuple[str, int]  # a feature, and the index of a component
WANTED = (
    f"{POSE} [6] and {GRIPPER} [1]; or {JOINTS} [7] and {GRIPPER} [1]; or {STATE} with names for its numbers: "
    "x, y, z, roll, pitch, yaw, gripper, or joint_0 … joint_6, gripper"
)
FRANKA_JOINTS = 7
FRANKA = re.compile("franka|panda|fr3|droid")


@dataclass(frozen=True)
class StateSource:
    """Components of features that form a state.

    Attributes:
        pose: Six components, or none; the pose is then computed from the joints.
        joints: One component for each joint, or none.
        gripper: One component, used as closedness.
    """

    pose: tuple[Place, ...]
    joints: tuple[Place, ...]
    gripper: Place

    @property
    def columns(self) -> set[str]:
        """The features needed."""
        return {name for name, _ in (*self.pose, *self.joints, self.gripper)}

    def digest_in(self, rows: Mapping[str, np.ndarray]) -> str:
        """Digest of an episode's states, from arrays [T, …] by feature; of joints and gripper if there are no poses.

        Forward kinematics of a large set would take hours.
        """
        return digest_of(_columns(rows, (*(self.pose or self.joints), self.gripper)))

    def take(self, rows: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """States [T, 7] and joints [T, J], float64, from arrays [T, …] by feature; joints are None if unknown.

        Raises:
            UserError: A number isn't finite.
        """
        joints = _gather(rows, self.joints) if self.joints else None
        pose = flange_poses(joints) if joints is not None and not self.pose else _gather(rows, self.pose)
        return np.column_stack([pose, _gather(rows, (self.gripper,))]), joints


def find_states(info: Info) -> StateSource:
    """Find the components of states.

    DROID's names come first, then ``observation.state`` with names for its numbers.

    Raises:
        UserError: There are no states, or they are joints of a robot that isn't a Franka.
    """
    features = info.features
    pose = _whole(features, POSE, 6)
    joints = _whole(features, JOINTS)
    gripper = _whole(features, GRIPPER, 1)
    if not gripper or not (pose or joints):
        pose, joints, gripper = _named(features.get(STATE))
    if not gripper or not (pose or joints):
        raise UserError(f"There are no states. Wanted: {WANTED}. Features: {_listed(features)}.")
    if not pose and (len(joints) != FRANKA_JOINTS or not FRANKA.search(info.robot.lower())):
        raise UserError(
            f"robot_type is {info.robot!r}, and the states are joints; vjepa-sim computes poses from a Franka's joints "
            "only. If it is one, set robot_type in meta/info.json to franka, panda or fr3."
        )
    return StateSource(pose, joints, gripper[0])


def _whole(features: Mapping[str, Feature], name: str, size: int | None = None) -> tuple[Place, ...]:
    """All components of a feature, or none if it is missing or its size isn't ``size``; None allows any size."""
    shape: tuple[int, ...] = features[name].shape if name in features else ()
    if len(shape) != 1 or size not in (None, shape[0]):
        return ()
    return tuple((name, component) for component in range(shape[0]))


def _named(feature: Feature | None) -> tuple[tuple[Place, ...], tuple[Place, ...], tuple[Place, ...]]:
    """Pose, joints and gripper in ``observation.state``; empty where missing."""
    axes = [] if feature is None else [axis.lower() for axis in feature.axes]
    if feature is None or feature.shape != (len(axes),):
        return (), (), ()
    last = [re.split(r"[^a-z]+", axis)[-1] for axis in axes]  # "x" also for "ee_x" and "eef.x"
    pose = [last.index(name) for name in POSE_AXES if last.count(name) == 1]
    grippers = [place for place, axis in enumerate(axes) if re.search("gripper|closedness", axis)]
    numbers = {place: re.search(r"joint[_ ]?(\d)", axis) for place, axis in enumerate(axes) if place not in grippers}
    joints = sorted((int(match[1]), place) for place, match in numbers.items() if match)
    return (
        _places(pose) if len(pose) == 6 else (),
        _places([place for _, place in joints]) if len({number for number, _ in joints}) == len(joints) == 7 else (),
        _places(grippers) if len(grippers) == 1 else (),
    )


def _places(components: list[int]) -> tuple[Place, ...]:
    return tuple((STATE, component) for component in components)


def _gather(rows: Mapping[str, np.ndarray], places: tuple[Place, ...]) -> np.ndarray:
    numbers = _columns(rows, places)
    wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(wrong):
        raise UserError(f"{places[0][0]} contains numbers that are not finite, first in row {wrong[0]}.")
    return numbers


def _columns(rows: Mapping[str, np.ndarray], places: tuple[Place, ...]) -> np.ndarray:
    columns = [rows[name].reshape(len(rows[name]), -1)[:, component] for name, component in places]
    return np.column_stack(columns).astype(np.float64)


def _listed(features: Mapping[str, Feature]) -> str:
    return ", ".join(f"{name} {list(feature.shape)}" for name, feature in features.items()) or "none"
