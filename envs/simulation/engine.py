"""MuJoCo, imported in one place, after the OpenGL backend is selected.

All other modules write ``from vjepa_sim.envs.simulation.engine import mujoco``.
"""

from vjepa_sim.envs.simulation.gl import select_backend

select_backend()

import mujoco  # noqa: E402

__all__ = ["mujoco"]
