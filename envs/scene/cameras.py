"""The simulated cameras by name: two in front of the table and one on the end effector, as in DROID."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.part_checks import are_numbers, check_fields, is_number, is_text
from vjepa_sim.envs.registry import LONGEST_NAME, NAME, Registry
from vjepa_sim.envs.scene.names import END_EFFECTOR_BODY

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True, kw_only=True)
class Viewpoint:
    """Pose and field of view of a camera, in the frame of the body that carries it.

    Attributes:
        position: position of the camera [3], metres.
        target: point in the middle of the image [3], metres.
        fovy: vertical field of view, degrees.
        up: direction [3] that points up in the image.
        body: name of the body that carries the camera.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fovy: float
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    body: str = "world"

    @property
    def azimuth(self) -> float:
        """Azimuth of the camera about its target, degrees in -180 to 180 from the x axis; see :func:`left_at`."""
        away = np.subtract(self.position, self.target)
        return float(np.degrees(np.arctan2(away[1], away[0])))

    def moved(
        self, offset: tuple[float, float, float] = (0.0, 0.0, 0.0), pan: float = 0.0, tilt: float = 0.0
    ) -> Viewpoint:
        """The viewpoint after a translation and then a rotation in place.

        Args:
            offset: translation [3], metres, in the frame of the body that carries the camera.
            pan: rotation about :attr:`up`, degrees, to the left if positive.
            tilt: rotation about the image's horizontal axis, degrees, upward if positive.
        """
        forward = np.subtract(self.target, self.position)
        right = np.cross(forward, self.up)
        turn = Rotation.from_rotvec(np.radians(pan) * np.array(self.up) / np.linalg.norm(self.up))
        turn *= Rotation.from_rotvec(np.radians(tilt) * right / np.linalg.norm(right))
        position, target = np.add(self.position, offset), np.add(self.target, offset) + (turn.apply(forward) - forward)
        return replace(self, position=tuple(position.tolist()), target=tuple(target.tolist()))

    def quaternion(self) -> np.ndarray:
        """Orientation [4] (w, x, y, z) of a MuJoCo camera, which views along -z with y up."""
        backward = np.array(self.position, float) - self.target
        backward /= np.linalg.norm(backward)
        right = np.cross(self.up, backward)
        right /= np.linalg.norm(right)
        from vjepa_sim.envs.engine import mujoco

        matrix = np.column_stack([right, np.cross(backward, right), backward])
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, matrix.ravel())
        return quaternion

    def place(self, model: mujoco.MjModel, name: str) -> None:
        """Move a camera of a compiled model to this viewpoint; its body does not change."""
        camera = model.camera(name).id
        model.cam_pos[camera], model.cam_quat[camera] = self.position, self.quaternion()
        model.cam_fovy[camera] = self.fovy


@dataclass(frozen=True)
class CameraSpec:
    """A simulated camera.

    Attributes:
        name: name on the command line.
        role: name in recorded episodes: DROID's ``ext1``, ``ext2`` and ``wrist``, or another.
        viewpoint: nominal viewpoint.
        shift: largest translation along each axis by domain randomisation at full strength, metres.
        turn: largest pan and tilt then, degrees.
        near: distance of the near clipping plane, metres; None for the scene's own.
    """

    name: str
    role: str
    viewpoint: Viewpoint
    _: KW_ONLY
    shift: float = 0.05
    turn: float = 5.0
    near: float | None = None


def _check_camera(camera: CameraSpec) -> None:
    at = camera.viewpoint
    taken = {each.role: each.name for each in CAMERAS.registered() if each is not camera}
    check_fields(
        "camera",
        camera,
        (
            (
                "role",
                is_text(camera.role, NAME) and len(camera.role) <= LONGEST_NAME,
                "lower-case letters and digits, with single hyphens or underscores between them",
            ),
            ("viewpoint", isinstance(at, Viewpoint), "a Viewpoint"),
            ("shift", is_number(camera.shift, low=0), "metres, at least 0"),
            ("turn", is_number(camera.turn, low=0), "degrees, at least 0"),
            ("near", camera.near is None or is_number(camera.near, low=1e-4), "metres above 0, or None"),
        ),
    )
    if camera.role in taken:
        raise UserError(
            f"Camera {camera.name!r} has role {camera.role!r}, which camera {taken[camera.role]!r} has already. Give "
            "it another one."
        )
    numbers = are_numbers(at.position, 3) and are_numbers(at.target, 3) and are_numbers(at.up, 3)
    views = numbers and np.linalg.norm(np.cross(np.subtract(at.target, at.position), at.up)) > 1e-6
    right = views and is_number(at.fovy, 0.1, 179.9)
    expected = (
        "position, target and up of 3 numbers, up not along the line of sight, and fovy between 0 and 180 degrees"
    )
    check_fields("camera", camera, [("viewpoint", right, expected)])


CAMERAS: Registry[CameraSpec] = Registry("camera", CameraSpec, _check_camera)

# In front of the arm and to its left, so that neither finger hides the object. The agents' camera.
LEFT = CAMERAS.register(
    CameraSpec("left", "ext1", Viewpoint(position=(0.90, 0.62, 0.52), target=(0.46, 0.00, 0.13), fovy=38.0))
)
RIGHT = CAMERAS.register(
    CameraSpec("right", "ext2", Viewpoint(position=(0.90, -0.62, 0.52), target=(0.46, 0.00, 0.13), fovy=38.0))
)
# In front of the end effector, like DROID's ZED Mini, tilted toward the fingertips; the fingers open along the body's y
# axis. The scene's near plane, for a whole room, would clip the fingers.
WRIST = CAMERAS.register(
    CameraSpec(
        "wrist",
        "wrist",
        Viewpoint(
            position=(0.075, 0.0, 0.03), target=(0.01, 0.0, 0.16), fovy=75.0, up=(1.0, 0.0, 0.0), body=END_EFFECTOR_BODY
        ),
        shift=0.004,
        turn=3.0,
        near=0.01,
    )
)


def check_viewpoint(viewpoint: object) -> None:
    """Raise :class:`.UserError` for what is neither None nor a viewpoint fixed in the world."""
    if viewpoint is not None and (not isinstance(viewpoint, Viewpoint) or viewpoint.body != LEFT.viewpoint.body):
        raise UserError(
            f"viewpoint={viewpoint!r}: expected a vjepa_sim.envs.scene.cameras.Viewpoint, fixed in the world."
        )


def left_at(azimuth: float) -> Viewpoint:
    """The viewpoint of :data:`LEFT`, rotated about the vertical through its target to another azimuth.

    Args:
        azimuth: degrees, counterclockwise seen from above. At 0 the camera is on the x axis in front of the arm and
            faces its base, at 90 it is to the arm's left; :data:`LEFT` itself is at 54.6.

    Raises:
        UserError: the azimuth is outside -180 to 180.
    """
    if not -180 <= azimuth <= 180:
        raise UserError(f"azimuth={azimuth}: expected degrees from -180 to 180; the nominal camera's is 54.6.")
    nominal = LEFT.viewpoint
    away = np.subtract(nominal.position, nominal.target)
    radius, angle = np.hypot(away[0], away[1]), np.radians(azimuth)
    position = np.add(nominal.target, [radius * np.cos(angle), radius * np.sin(angle), away[2]])
    return replace(nominal, position=tuple(position.tolist()))


def add_cameras(spec: mujoco.MjSpec) -> None:
    """Add all cameras, each to its body."""
    for name, camera in CAMERAS.items():
        at = camera.viewpoint
        spec.body(at.body).add_camera(name=name, pos=at.position, quat=at.quaternion(), fovy=at.fovy)
