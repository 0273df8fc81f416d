"""Selection of the OpenGL backend before MuJoCo is imported: MuJoCo reads ``MUJOCO_GL`` only once, at import."""

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
    """Return the OpenGL backend that MuJoCo will use; sets ``MUJOCO_GL`` if it is not set.

    EGL is preferred (Mesa's renders on a CPU, a vendor's on a GPU), then OSMesa.

    Raises:
        GLError: neither library is installed, or not that of ``MUJOCO_GL``.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    if sys.platform != "linux":
        return chosen or "native"
    if not chosen:
        chosen = next((name for name in LIBRARIES if has_library(name)), "")
    if not chosen:
        raise GLError(
            "No OpenGL was found: neither libEGL.so.1 nor libOSMesa.so.8 can be loaded. "
            f"Install one of them: `{APT_LINES['egl']}` or `{APT_LINES['osmesa']}`."
        )
    if chosen not in KNOWN:
        raise GLError(f"MUJOCO_GL={chosen} is unknown to MuJoCo. Unset it, or choose one of: {', '.join(KNOWN)}.")
    if chosen in LIBRARIES and not has_library(chosen):
        raise GLError(
            f"MUJOCO_GL={chosen} is set, but {LIBRARIES[chosen]} can't be loaded. "
            f"Install it: `{APT_LINES[chosen]}`; or unset MUJOCO_GL to let it be chosen."
        )
    os.environ["MUJOCO_GL"] = chosen
    return chosen
