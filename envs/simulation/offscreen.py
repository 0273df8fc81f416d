"""OpenGL without a window, usable from every thread."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

import numpy as np

from vjepa_sim.envs.engine import BACKEND, mujoco
from vjepa_sim.envs.gl import APT_LINES, LIBRARIES, GLError

_open: weakref.WeakSet[Offscreen] = weakref.WeakSet()
_started = False  # whether OpenGL was started, here or in the process that this one was forked from
_inherited: list[Offscreen] | None = None  # in a process that was forked later: what it must neither use nor free
_starting = threading.Lock()
_here = threading.local()  # its ``drawing`` is the one that is current in a thread


class Offscreen:
    """A buffer of square images with the textures and meshes of a model.

    Its OpenGL context is current only while an image is made, so that any thread can make the next one.
    """

    _drawn: mujoco.MjrContext | None = None  # textures and meshes

    def __init__(self, model: mujoco.MjModel, pixels: int):
        """
        Args:
            model: model, with an offscreen buffer of at least that size.
            pixels: height and width of the images.

        Raises:
            GLError: OpenGL can't be started.
        """
        global _started
        _check_own()
        self._pixels = pixels
        self._lock = threading.Lock()
        with _starting:
            try:
                _started = True
                self._context = _backend().GLContext(pixels, pixels)
                self._use()
                self._drawn = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
                mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawn)
            except GLError:
                raise
            except Exception as error:  # every GL library fails in its own way
                raise GLError(f"OpenGL could not be started ({type(error).__name__}: {error}). {_remedy()}") from error
            _leave(None)
            # What is left open at exit must be freed before OpenGL ends, or there is a traceback. The end of OpenGL was
            # registered when it was started, and what is registered last runs first.
            atexit.unregister(_close_all)
            atexit.register(_close_all)
            _open.add(self)

    def draw(self, scene: mujoco.MjvScene) -> np.ndarray:
        """The image of a scene, uint8 [pixels, pixels, 3].

        Raises:
            GLError: this process was forked from the one that started OpenGL.
        """
        _check_own()
        image = np.empty((self._pixels, self._pixels, 3), np.uint8)
        area = mujoco.MjrRect(0, 0, self._pixels, self._pixels)
        with self._current() as drawn:
            mujoco.mjr_render(area, scene, drawn)
            mujoco.mjr_readPixels(image, None, area, drawn)
        return np.ascontiguousarray(image[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free its memory. May be called twice, and from any thread."""
        if self._drawn is not None and _inherited is None:
            with self._current() as drawn:
                self._drawn = None
                drawn.free()
                self._context.free()

    def __del__(self):
        self.close()

    @contextmanager
    def _current(self) -> Iterator[mujoco.MjrContext]:
        """Make it current; afterwards, what was: the garbage collector may close one while another one draws."""
        with self._lock:
            if self._drawn is None:
                raise RuntimeError("The renderer was closed by another thread.")
            outer = getattr(_here, "drawing", None)
            self._use()
            try:
                yield self._drawn
            finally:
                _leave(outer)

    def _use(self) -> None:
        self._context.make_current()
        _here.drawing = self


def _check_own() -> None:
    if _inherited is not None:
        raise GLError(
            "OpenGL was started before this process was forked, and can't be used in it. Start the process by "
            "'spawn', as with gymnasium.make_vec(…, vector_kwargs={'context': 'spawn'}) and "
            "multiprocessing.get_context('spawn'); or render nothing before it is started."
        )


def _leave(outer: Offscreen | None) -> None:
    """Make the context ``outer`` current, or none."""
    if outer is not None:
        outer._use()
    else:
        _here.drawing = None
        RELEASE.get(BACKEND, lambda: None)()


def _release_egl() -> None:
    egl = import_module("mujoco.egl")
    egl.EGL.eglBindAPI(egl.EGL.EGL_OPENGL_API)  # of this thread
    egl.EGL.eglMakeCurrent(egl.EGL_DISPLAY, egl.EGL.EGL_NO_SURFACE, egl.EGL.EGL_NO_SURFACE, egl.EGL.EGL_NO_CONTEXT)


def _release_osmesa() -> None:
    osmesa = import_module("mujoco.osmesa")
    osmesa.osmesa.OSMesaMakeCurrent(None, None, osmesa.GL.GL_FLOAT, 0, 0)


def _release_glfw() -> None:
    import_module("mujoco.glfw").glfw.make_context_current(None)


RELEASE: dict[str, Callable[[], None]] = {"egl": _release_egl, "osmesa": _release_osmesa, "glfw": _release_glfw}


def _backend() -> ModuleType:
    """The module of MuJoCo with the ``GLContext`` of our backend: MuJoCo's own choice is made when it is imported."""
    if BACKEND not in RELEASE:
        return mujoco
    platform = type(getattr(sys.modules.get("OpenGL.platform"), "PLATFORM", None)).__name__  # such as EGLPlatform
    if BACKEND in LIBRARIES and platform.endswith("Platform") and platform.lower() != f"{BACKEND}platform":
        raise GLError(
            f"PyOpenGL was imported before and uses {platform.removesuffix('Platform')}, but MuJoCo renders with "
            f"{BACKEND}: `export PYOPENGL_PLATFORM={BACKEND}`, or import vjepa_sim.envs.engine first."
        )
    module = import_module(f"mujoco.{BACKEND}")
    device = os.environ.get("MUJOCO_EGL_DEVICE_ID")
    if BACKEND == "egl" and device is not None:
        devices = len(module.EGL.eglQueryDevicesEXT())
        if not device.isdecimal() or int(device) >= devices:
            raise GLError(
                f"MUJOCO_EGL_DEVICE_ID={device}: expected a whole number from 0 to {devices - 1}, the device that "
                "renders. Correct it, or unset it."
            )
    return module


def _remedy() -> str:
    if BACKEND == "egl" and "MUJOCO_EGL_DEVICE_ID" in os.environ:
        return (
            f"MUJOCO_EGL_DEVICE_ID={os.environ['MUJOCO_EGL_DEVICE_ID']} chooses the device: try another, or unset it."
        )
    if BACKEND == "glfw":
        return "MUJOCO_GL=glfw opens a window: unset MUJOCO_GL, or `export MUJOCO_GL=egl`, to render without one."
    return (
        f"Try `{APT_LINES['egl']}` with MUJOCO_GL=egl, or `{APT_LINES['osmesa']}` with MUJOCO_GL=osmesa; "
        "`vjepa-sim doctor` shows more."
    )


def _close_all() -> None:
    for each in tuple(_open):
        each.close()


def _after_fork() -> None:
    """OpenGL's own threads are not in a forked process, which would wait for them for ever."""
    global _inherited
    egl = sys.modules.get("mujoco.egl")
    elsewhere = getattr(egl, "EGL_DISPLAY", None) is not None  # started by MuJoCo's own renderer
    if _inherited is None and (_started or elsewhere):
        _inherited = list(_open)
        if egl is not None:
            atexit.unregister(egl.EGL.eglTerminate)


os.register_at_fork(after_in_child=_after_fork)
