"""Where an episode begins: told beside its goals, so that every rung of the ladder begins there."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from vjepa_sim.envs.errors import UserError


@dataclass(frozen=True)
class Start:
    """The start of an episode that was drawn in the simulator.

    Attributes:
        task: that was drawn.
        seed: it was drawn from.
        gripper, object_name, arm: names of what stood there.
        joints: [J], radians.
        closedness: of the gripper, 0 open to 1 closed.
        position: of the object's centre [3], metres, base frame.
        yaw: of the object, radians.
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
        if not self.joints or len(self.position) != 3:
            raise UserError(
                f"A start has joints and an object's place of 3 numbers; given {self.joints} and {self.position}."
            )
        if not np.all(np.isfinite([*self.joints, *self.position, self.closedness, self.yaw])):
            raise UserError(f"The numbers of a start must be finite; given {self}.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Any) -> Start:
        """The inverse of :meth:`to_dict`.

        Raises:
            UserError: a field is missing, unknown or of another kind.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or {"arm", *content} != names:  # older goals name no arm
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
