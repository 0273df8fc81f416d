"""The world: arms, scenes, tasks, safety.

Importing this package registers the environments and loads neither MuJoCo nor a renderer.
"""

from vjepa_sim.envs.gymnasium_ids import env_id, register_all

__all__ = ["env_id"]

register_all()
