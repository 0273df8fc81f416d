"""MuJoCo, imported in one place, after the OpenGL backend is selected.

All other modules write ``from vjepa_sim.envs.engine import mujoco``.
"""

from importlib import import_module
from importlib.util import find_spec

from vjepa_sim.envs.gl import select_backend

BACKEND = select_backend()  # now: robosuite changes the variable when it is imported
if find_spec("triton"):  # with PyTorch's CUDA build; it crashes when its LLVM is loaded after that of Mesa's renderer
    import_module("triton")

import mujoco  # noqa: E402

__all__ = ["BACKEND", "mujoco"]
