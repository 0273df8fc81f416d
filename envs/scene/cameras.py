"""Where the cameras are: two that look at the table and one on the hand, as in DROID."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from envs.engine import mujoco
from envs.errors import UserError
from envs.scene.names import CAMERAS, HAND_BODY


@dataclass(frozen=True)
class Viewpoint:
    """A camera's place, in metres, in the frame of the body that carries it.

    Attributes:
        position: [3].
        target: [3], the point in the middle of the picture.
        fovy: degrees from the lower edge of the picture to the upper one.
        up: [3], a direction that is upright in the picture.
        body: that carries it.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fovy: float
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    body: str = "world"

    @property
    def azimuth(self) -> float:
        """Degrees, -180 to 180, from the x axis to the camera, seen from above its target; see :func:`left_at`."""
        away = np.subtract(self.position, self.target)
        return float(np.degrees(np.arctan2(away[1], away[0])))

    def moved(
        self, offset: tuple[float, float, float] = (0.0, 0.0, 0.0), pan: float = 0.0, tilt: float = 0.0
    ) -> Viewpoint:
        """A camera that was knocked: carried along without turning, then turned where it stands.

        Args:
            offset: metres [3], in the frame of the body that carries it.
            pan: degrees about :attr:`up`, to the left if positive.
            tilt: degrees about the picture's horizontal, upward if positive.
        """
        forward = np.subtract(self.target, self.position)
        right = np.cross(forward, self.up)
        turn = Rotation.from_rotvec(np.radians(pan) * np.array(self.up) / np.linalg.norm(self.up))
        turn *= Rotation.from_rotvec(np.radians(tilt) * right / np.linalg.norm(right))
        position, target = np.add(self.position, offset), np.add(self.target, offset) + (turn.apply(forward) - forward)
        return replace(self, position=tuple(position.tolist()), target=tuple(target.tolist()))

    def quaternion(self) -> np.ndarray:
        """Orientation [4] (w, x, y, z) of MuJoCo's camera, which looks along -z with y up."""
        backward = np.array(self.position, float) - self.target
        backward /= np.linalg.norm(backward)
        right = np.cross(self.up, backward)
        right /= np.linalg.norm(right)
        matrix = np.column_stack([right, np.cross(backward, right), backward])
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, matrix.ravel())
        return quaternion

    def place(self, model: mujoco.MjModel, name: str) -> None:
        """Put a camera of a compiled model here; the body stays what it was."""
        camera = model.camera(name).id
        model.cam_pos[camera], model.cam_quat[camera] = self.position, self.quaternion()
        model.cam_fovy[camera] = self.fovy


# In front of the arm and to its left, so that neither finger hides the object.
LEFT = Viewpoint(position=(0.90, 0.62, 0.52), target=(0.46, 0.00, 0.13), fovy=38.0)
RIGHT = Viewpoint(position=(0.90, -0.62, 0.52), target=(0.46, 0.00, 0.13), fovy=38.0)
# In front of the hand, like DROID's ZED Mini, tilted toward the fingertips; fingers open along the hand's y.
WRIST = Viewpoint(position=(0.075, 0.0, 0.03), target=(0.01, 0.0, 0.16), fovy=75.0, up=(1.0, 0.0, 0.0), body=HAND_BODY)


def left_at(azimuth: float) -> Viewpoint:
    """The left camera elsewhere on its circle: about the vertical through its target, all else as in :data:`LEFT`.

    Args:
        azimuth: degrees, counterclockwise seen from above. At 0 the camera stands on the x axis in front of the arm and
            looks at its base, at 90 it looks from the arm's left; :data:`LEFT` itself is at 54.6.

    Raises:
        UserError: the azimuth lies outside -180..180.
    """
    if not -180 <= azimuth <= 180:
        raise UserError(f"azimuth={azimuth}: expected degrees from -180 to 180; the nominal camera's is 54.6.")
    away = np.subtract(LEFT.position, LEFT.target)
    radius, angle = np.hypot(away[0], away[1]), np.radians(azimuth)
    place = np.add(LEFT.target, [radius * np.cos(angle), radius * np.sin(angle), away[2]])
    return replace(LEFT, position=tuple(place.tolist()))


def add_cameras(spec: mujoco.MjSpec) -> None:
    """All cameras, each on its body."""
    for name, viewpoint in zip(CAMERAS, (LEFT, RIGHT, WRIST), strict=True):
        spec.body(viewpoint.body).add_camera(
            name=name, pos=viewpoint.position, quat=viewpoint.quaternion(), fovy=viewpoint.fovy
        )
