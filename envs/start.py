"""Start state of an episode, stored with its goals, so that it is the same on every backend."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Start:
    """Start of an episode that was sampled in the simulator.

    Attributes:
        task: name of the task.
        seed: random seed of the episode.
        gripper, object_name, arm: names of the scene's parts.
        joints: joint positions [J], radians.
        closedness: measured closedness of the gripper, 0 open to 1 closed.
        position: centre of the object [3], metres, base frame.
        yaw: rotation of the object about the vertical, radians.
    """

    task: str
    seed: int
    gripper: str
    object_name: str
    joints: tuple[float, ...]
    closedness: float
    position: tuple[float, ...]
    yaw: float
    arm: str = "panda"

    def __post_init__(self) -> None:
        joints = len(ARMS[self.arm].joints)
        if len(self.joints) != joints or len(self.position) != 3:
            raise UserError(
                f"A start of arm {self.arm!r} has {joints} joints and an object's position of 3 numbers; given "
                f"{self.joints} and {self.position}."
            )
        if not np.all(np.isfinite([*self.joints, *self.position, self.closedness, self.yaw])):
            raise UserError(f"The numbers of a start must be finite; given {self}.")

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON-compatible dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Any) -> Start:
        """The inverse of :meth:`to_dict`.

        Raises:
            UserError: a field is missing, unknown or of another type.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or {"arm", *content} != names:  # files of older goals have no arm
            raise UserError(f"A start has the fields {', '.join(sorted(names))}; given {content!r}.")
        try:
            return cls(
                task=str(content["task"]),
                seed=int(content["seed"]),
                gripper=str(content["gripper"]),
                object_name=str(content["object_name"]),
                joints=tuple(float(joint) for joint in content["joints"]),
                closedness=float(content["closedness"]),
                position=tuple(float(number) for number in content["position"]),
                yaw=float(content["yaw"]),
                arm=str(content.get("arm", "panda")),
            )
        except (TypeError, ValueError) as error:
            raise UserError(f"The start {content!r} can't be read ({error}).") from error


def check_start(start: object) -> None:
    """Raise :class:`.UserError` for what is neither None nor a :class:`Start`."""
    if start is not None and not isinstance(start, Start):
        raise UserError(f"start={start!r}: expected a vjepa_sim.envs.start.Start, such as start_of() returns.")
