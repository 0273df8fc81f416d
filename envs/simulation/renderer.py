"""Renderer of the simulated cameras."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import matrix_to_euler
from vjepa_sim.envs.scene.cameras import CAMERAS, LEFT
from vjepa_sim.envs.scene.names import FLANGE_SITE, OBJECT_BODY
from vjepa_sim.envs.simulation.offscreen import Offscreen

MIN_RENDER = 256  # smaller images are averaged from at least this size, so that all sizes look alike
MAX_SIZE = 1024
MAX_GEOMS = 10_000
SHADOW_COLOR = np.array([0.0, 0.0, 0.0, 0.35], np.float32)


class Renderer:
    """Renders the images of all cameras of the scene, uint8 [size, size, 3]. OpenGL is started by the first image.

    In software, true shadows take four times as long as the image. Instead, two translucent discs under gripper and
    object show the height above the table.
    """

    def __init__(self, model: mujoco.MjModel, size: int = 256):
        """
        Args:
            model: model of the scene.
            size: height and width of the images in pixels.

        Raises:
            UserError: the size is out of range.
        """
        if not isinstance(size, (int, np.integer)) or not 16 <= size <= MAX_SIZE:
            raise UserError(f"size={size!r}: an image size must be a whole number from 16 to {MAX_SIZE}.")
        self.size = int(size)
        self._oversample = -(-MIN_RENDER // self.size) if self.size < MIN_RENDER else 1
        pixels = self.size * self._oversample
        self._model = model
        self._flange = model.site(FLANGE_SITE).id
        self._object = model.body(OBJECT_BODY).id
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._pixels = pixels
        self._offscreen: Offscreen | None = None

    def __reduce__(self) -> tuple:
        """A copy has the same model and size, and starts OpenGL for itself."""
        return Renderer, (self._model, self.size)

    def render(self, data: mujoco.MjData, name: str = LEFT.name) -> np.ndarray:
        """The image of a camera, uint8 [size, size, 3]. Poses in ``data`` must be up to date.

        Raises:
            UserError: the scene has no camera of this name.
            GLError: OpenGL can't be started.
        """
        near = CAMERAS[name].near
        camera = mujoco.MjvCamera()
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._camera_id(name)
        shown = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, mujoco.MjvOption(), None, camera, shown, self._scene)
        if near is not None:
            self._set_near_plane(near)
        self._add_shadow(data.site_xpos[self._flange], radius=0.045)
        self._add_shadow(data.xpos[self._object], radius=0.035)
        if self._offscreen is None:
            self._offscreen = Offscreen(self._model, self._pixels)
        image = self._offscreen.draw(self._scene)
        k = self._oversample
        if k > 1:
            total = np.full((self.size, self.size, 3), k * k // 2, np.uint16)
            for row in range(k):
                for column in range(k):
                    total += image[row::k, column::k]
            image = (total // (k * k)).astype(np.uint8)
        return image

    def extrinsics(self, data: mujoco.MjData, name: str = LEFT.name) -> np.ndarray:
        """Present pose of a camera in the base frame [6], float64: metres and extrinsic "xyz" Euler radians.

        The camera's z axis points forward, its y axis down. Poses in ``data`` must be up to date.
        """
        camera = self._camera_id(name)
        forward = data.cam_xmat[camera].reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])  # MuJoCo cameras: -z forward, y up
        return np.concatenate([data.cam_xpos[camera], matrix_to_euler(forward)])

    def intrinsics(self, name: str = LEFT.name) -> np.ndarray:
        """Pinhole camera matrix [3, 3] in pixels."""
        fovy = np.radians(self._model.cam_fovy[self._camera_id(name)])
        focal = self.size / 2 / np.tan(fovy / 2)
        return np.array([[focal, 0, self.size / 2], [0, focal, self.size / 2], [0, 0, 1]])

    def _camera_id(self, name: str) -> int:
        return self._model.camera(CAMERAS[name].name).id

    def _set_near_plane(self, near: float) -> None:
        """Move the near clipping plane to ``near`` metres; the field of view is unchanged."""
        for camera in self._scene.camera:
            scale = near / camera.frustum_near
            camera.frustum_near = near
            camera.frustum_bottom *= scale
            camera.frustum_top *= scale
            camera.frustum_width *= scale

    def _add_shadow(self, above: np.ndarray, radius: float) -> None:
        scene = self._scene
        geom = scene.geoms[scene.ngeom]
        mujoco.mjv_initGeom(
            geom,
            mujoco.mjtGeom.mjGEOM_CYLINDER,
            np.array([radius, 0.0005, 0]),
            np.array([above[0], above[1], 0.0005]),
            np.eye(3).ravel(),
            SHADOW_COLOR,
        )
        # mjv_initGeom does not reset these fields; the category decides which of two translucent discs is drawn first.
        geom.category, geom.objtype, geom.objid, geom.segid = mujoco.mjtCatBit.mjCAT_DECOR, 0, -1, -1
        scene.ngeom += 1

    def close(self) -> None:
        """Free the renderer's memory; another image takes it again."""
        if self._offscreen is not None:
            self._offscreen.close()
            self._offscreen = None
