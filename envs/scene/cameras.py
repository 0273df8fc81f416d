"""The simulated cameras by name: two that look at the table and one on the hand, as in DROID."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.scene.names import HAND_BODY

if TYPE_CHECKING:
    import mujoco


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
        from vjepa_sim.envs.simulation.engine import mujoco

        matrix = np.column_stack([right, np.cross(backward, right), backward])
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, matrix.ravel())
        return quaternion

    def place(self, model: mujoco.MjModel, name: str) -> None:
        """Put a camera of a compiled model here; the body stays what it was."""
        camera = model.camera(name).id
        model.cam_pos[camera], model.cam_quat[camera] = self.position, self.quaternion()
        model.cam_fovy[camera] = self.fovy


@dataclass(frozen=True)
class CameraSpec:
    """A simulated camera.

    Attributes:
        name: as on the command line.
        role: in recorded episodes: DROID's ``ext1``, ``ext2`` and ``wrist``, or another name.
        viewpoint: its nominal place.
        shift: metres along each axis by which domain randomisation moves it at full strength.
        turn: degrees by which it is turned then, to the side and upward.
        near: distance in metres of the near plane of what it sees; None for the scene's own.
    """

    name: str
    role: str
    viewpoint: Viewpoint
    shift: float = 0.05
    turn: float = 5.0
    near: float | None = None


CAMERAS: Registry[CameraSpec] = Registry("camera")

# In front of the arm and to its left, so that neither finger hides the object. Agents see through this one.
LEFT = CAMERAS.register(
    CameraSpec("left", "ext1", Viewpoint(position=(0.90, 0.62, 0.52), target=(0.46, 0.00, 0.13), fovy=38.0))
)
RIGHT = CAMERAS.register(
    CameraSpec("right", "ext2", Viewpoint(position=(0.90, -0.62, 0.52), target=(0.46, 0.00, 0.13), fovy=38.0))
)
# In front of the hand, like DROID's ZED Mini, tilted toward the fingertips; fingers open along the hand's y. The
# scene's near plane, for a whole room, would cut the fingers off.
WRIST = CAMERAS.register(
    CameraSpec(
        "wrist",
        "wrist",
        Viewpoint(position=(0.075, 0.0, 0.03), target=(0.01, 0.0, 0.16), fovy=75.0, up=(1.0, 0.0, 0.0), body=HAND_BODY),
        shift=0.004,
        turn=3.0,
        near=0.01,
    )
)


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
    nominal = LEFT.viewpoint
    away = np.subtract(nominal.position, nominal.target)
    radius, angle = np.hypot(away[0], away[1]), np.radians(azimuth)
    place = np.add(nominal.target, [radius * np.cos(angle), radius * np.sin(angle), away[2]])
    return replace(nominal, position=tuple(place.tolist()))


def add_cameras(spec: mujoco.MjSpec) -> None:
    """All cameras, each on its body."""
    for name, camera in CAMERAS.items():
        view = camera.viewpoint
        spec.body(view.body).add_camera(name=name, pos=view.position, quat=view.quaternion(), fovy=view.fovy)
