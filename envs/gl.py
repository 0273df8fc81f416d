"""Selection of the OpenGL backend: by ``MUJOCO_GL``, else the first that is installed."""

from __future__ import annotations

import ctypes
import os
import sys

from vjepa_sim.envs.errors import UserError

# The library that each headless backend loads, and the Debian/Ubuntu packages that contain it.
LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
APT_LINES = {
    "egl": "apt-get install -y libegl1 libgl1 libgl1-mesa-dri",
    "osmesa": "apt-get install -y libosmesa6",
}
KNOWN = (*LIBRARIES, "glfw")
WINDOWS = ("glx", "enable", "enabled", "on", "true", "1")  # MuJoCo's other words for glfw
OFF = ("disable", "disabled", "off", "false", "0")  # and for no rendering


class GLError(UserError):
    """OpenGL can't be used on this machine."""


def has_library(backend: str) -> bool:
    """Whether the shared library behind ``egl`` or ``osmesa`` can be loaded."""
    try:
        ctypes.CDLL(LIBRARIES[backend])
    except OSError:
        return False
    return True


def select_backend() -> str:
    """Return the OpenGL backend to render with, and set ``MUJOCO_GL`` to it: MuJoCo reads it at its import.

    EGL is preferred (Mesa's renders on a CPU, a vendor's on a GPU), then OSMesa.

    Raises:
        GLError: neither library is installed, or not that of ``MUJOCO_GL``; or the variables of the environment
            contradict each other.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if sys.platform != "linux":
        return chosen or "native"
    platform = os.environ.get("PYOPENGL_PLATFORM", "").lower()
    if not chosen:
        found = [name for name in LIBRARIES if has_library(name)]
        chosen = platform if platform in found else next(iter(found), "")
    if not chosen:
        raise GLError(
            "No OpenGL was found: neither libEGL.so.1 nor libOSMesa.so.8 can be loaded. "
            f"Install one of them: `{APT_LINES['egl']}` or `{APT_LINES['osmesa']}`."
        )
    if chosen in OFF:
        raise GLError(f"MUJOCO_GL={chosen} switches rendering off. Unset it, or choose one of: {', '.join(KNOWN)}.")
    chosen = "glfw" if chosen in WINDOWS else chosen
    if chosen not in KNOWN:
        raise GLError(f"MUJOCO_GL={chosen} is unknown to MuJoCo. Unset it, or choose one of: {', '.join(KNOWN)}.")
    if chosen in LIBRARIES and not has_library(chosen):
        raise GLError(
            f"MUJOCO_GL={chosen} is set, but {LIBRARIES[chosen]} can't be loaded. "
            f"Install it: `{APT_LINES[chosen]}`; or unset MUJOCO_GL to let it be chosen."
        )
    if chosen in LIBRARIES and platform not in ("", chosen):
        raise GLError(
            f"PYOPENGL_PLATFORM={platform} is set, but MuJoCo renders with {chosen}. Unset PYOPENGL_PLATFORM, or set "
            f"it to {chosen}."
        )
    if chosen == "glfw" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise GLError(
            f"MUJOCO_GL={os.environ['MUJOCO_GL']} opens windows, and there is no display: neither DISPLAY nor "
            "WAYLAND_DISPLAY is set. Unset MUJOCO_GL, or `export MUJOCO_GL=egl`."
        )
    os.environ["MUJOCO_GL"] = chosen
    return chosen
