"""The four tasks, by the name they have on the command line."""

from envs.tasks.grasp import Grasp
from envs.tasks.pick_and_place import PickAndPlace
from envs.tasks.reach import Reach
from envs.tasks.reach_with_object import ReachWithObject
from envs.tasks.task import Progress, Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (Reach, Grasp, ReachWithObject, PickAndPlace)}

__all__ = ["TASKS", "Grasp", "PickAndPlace", "Progress", "Reach", "ReachWithObject", "Task"]
