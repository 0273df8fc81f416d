"""Tasks, by name. Importing this package doesn't load MuJoCo."""

from vjepa_sim.envs.tasks.grasp import Grasp
from vjepa_sim.envs.tasks.pick_and_place import PickAndPlace
from vjepa_sim.envs.tasks.reach import Reach
from vjepa_sim.envs.tasks.reach_with_object import ReachWithObject
from vjepa_sim.envs.tasks.task import PROTOCOLS, TASKS, Progress, Task

for _task in (Reach, Grasp, ReachWithObject, PickAndPlace):  # in the order of tables and of collections
    TASKS.register(_task)

__all__ = ["PROTOCOLS", "TASKS", "Grasp", "PickAndPlace", "Progress", "Reach", "ReachWithObject", "Task"]
