"""The world: arms, scenes, tasks, safety.

Importing this package registers the environments and loads neither MuJoCo nor a renderer.
"""

import gymnasium

ENV_IDS = {
    "reach": "vjepa_sim/FrankaReach-v0",
    "grasp": "vjepa_sim/FrankaGrasp-v0",
    "reach-with-object": "vjepa_sim/FrankaReachWithObject-v0",
    "pick-and-place": "vjepa_sim/FrankaPickAndPlace-v0",
}
BUDGETS = {"reach": 10, "grasp": 16, "reach-with-object": 10, "pick-and-place": 34}  # control steps of 0.25 s

for _task, _id in ENV_IDS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(_id, entry_point="envs.make:make", kwargs={"task": _task}, max_episode_steps=BUDGETS[_task])

__all__ = ["BUDGETS", "ENV_IDS"]
