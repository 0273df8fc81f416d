"""Renderer of the simulated cameras."""

from __future__ import annotations

import atexit
import weakref

import numpy as np

from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import matrix_to_euler
from vjepa_sim.envs.scene.cameras import CAMERAS, LEFT
from vjepa_sim.envs.scene.names import FLANGE_SITE, OBJECT_BODY

MIN_RENDER = 256  # smaller images are averaged from at least this size, so that all sizes look alike
MAX_SIZE = 1024
SHADOW_COLOR = np.array([0.0, 0.0, 0.0, 0.35], np.float32)


class Renderer:
    """Renders the images of all cameras of the scene, uint8 [size, size, 3].

    In software, true shadows take four times as long as the image. Instead, two translucent discs under gripper and
    object show the height above the table.
    """

    def __init__(self, model: mujoco.MjModel, size: int = 256):
        if not isinstance(size, (int, np.integer)) or not 16 <= size <= MAX_SIZE:
            raise UserError(f"size={size!r}: an image size must be a whole number from 16 to {MAX_SIZE}.")
        self.size = int(size)
        self._oversample = -(-MIN_RENDER // self.size) if self.size < MIN_RENDER else 1
        pixels = self.size * self._oversample
        self._model = model
        self._flange = model.site(FLANGE_SITE).id
        self._object = model.body(OBJECT_BODY).id
        try:
            self._renderer = mujoco.Renderer(model, pixels, pixels)
        except Exception as error:  # every GL library fails in its own way
            from vjepa_sim.envs.gl import APT_LINES, GLError

            raise GLError(
                f"OpenGL could not be started ({type(error).__name__}: {error}). "
                f"Try `{APT_LINES['egl']}` with MUJOCO_GL=egl, or `{APT_LINES['osmesa']}` with MUJOCO_GL=osmesa; "
                "`vjepa-sim doctor` shows more."
            ) from error
        # Left open, it would be freed after OpenGL itself, with a traceback at exit. Registered now, it is closed
        # before the OpenGL context that the renderer has just registered; weakref's own exit handler may run later.
        self._finalizer = weakref.finalize(self, self._renderer.close)
        self._finalizer.atexit = False
        atexit.register(self._finalizer)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0

    def render(self, data: mujoco.MjData, name: str = LEFT.name) -> np.ndarray:
        """The image of a camera, uint8 [size, size, 3]. Poses in ``data`` must be up to date.

        Raises:
            UserError: the scene has no camera of this name.
        """
        near = CAMERAS[name].near
        self._renderer.update_scene(data, self._camera_id(name))
        if near is not None:
            self._set_near_plane(near)
        self._add_shadow(data.site_xpos[self._flange], radius=0.045)
        self._add_shadow(data.xpos[self._object], radius=0.035)
        image = self._renderer.render()
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
        for camera in self._renderer.scene.camera:
            scale = near / camera.frustum_near
            camera.frustum_near = near
            camera.frustum_bottom *= scale
            camera.frustum_top *= scale
            camera.frustum_width *= scale

    def _add_shadow(self, above: np.ndarray, radius: float) -> None:
        scene = self._renderer.scene
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
        """Free the renderer's memory."""
        self._finalizer()
        atexit.unregister(self._finalizer)
