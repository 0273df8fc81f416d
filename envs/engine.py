"""MuJoCo, imported in one place, after the OpenGL back end is chosen: ``from envs.engine import mujoco``."""

from envs.gl import select_backend

select_backend()

import mujoco  # noqa: E402

__all__ = ["mujoco"]
