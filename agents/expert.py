"""The scripted expert: reads the simulator's truth, and is the ceiling in every table."""

from __future__ import annotations

import numpy as np

from envs import pose
from envs.errors import UserError
from envs.franka_env import FrankaEnv
from envs.grasping import FLANGE_TO_PAD, LIFT, grasp_state, is_held
from envs.observation import Goal, Observation
from envs.tasks import PickAndPlace

CLOSE_ENOUGH = 0.012  # m from the grasp at which the fingers close
HOVER = 0.07  # m above the grasp from which the hand goes down
CARRY = 0.8 * LIFT  # m above the table at which the object is carried
CLEARANCE = 0.03  # m below the height that is wanted at which nothing moves sideways any more
PULL = 0.05  # closedness that an open hand may have by mistake
THERE = 0.02  # m from its place at which the object is let go

# Within the first the hand goes straight down, beyond the second it stays high, and between them it comes down as it
# gets nearer. Rules that jump can't be imitated: to eyes that see half a centimetre wrong, up and down add up to
# nothing. Nor can those that depend on what is hardly seen: the hand turns as the box is turned, but never waits for
# that; closing fingers turn the box as well.
FUNNEL = (0.012, 0.04)  # m sideways from the grasp
PLACE_FUNNEL = (0.012, 0.04)  # m sideways from where the object should stand


class Expert:
    """A feedback policy on the true state: it recovers from noise, pushes and lost objects.

    A ceiling: it is given the environment.
    """

    model_evaluations = 0
    current_goal = 0

    def __init__(self, env: FrankaEnv):
        self._env = env
        self._goals: list[Goal] = []

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode. Everything is read from the environment, the arm's pose in the goal images too."""
        goals = self._env.goals
        if not goals or goals[-1].state is None:
            raise UserError(
                "The scripted expert needs the task's own goals: it can't see, so a goal image tells it nothing."
            )
        self._goals, self.current_goal = goals, len(goals) - 1

    def act(self, observation: Observation) -> np.ndarray:
        """Action [7] float32."""
        if not self._goals:
            raise UserError("Call begin(goals) before act(observation).")
        task = self._env.task
        if task.name in ("reach", "reach-with-object"):
            return self._move(self._goals[-1].state, self._grip())
        if task.name == "grasp":
            return self._pick() if not self._holding() else self._move(self._goals[-1].state, 1.0)
        return self._pick_and_place(task)

    # --- skills -----------------------------------------------------------------------------------------------

    def _pick_and_place(self, task: PickAndPlace) -> np.ndarray:
        simulation = self._env.simulation
        position = simulation.object_position()
        offset = task.place - position[:2]
        standing = abs(position[2] - simulation.object_half_height()) < 0.006
        if np.linalg.norm(offset) < THERE and standing:
            return self._let_go()
        if not self._holding():
            return self._pick()
        height = simulation.object_half_height() + CARRY * _share(np.linalg.norm(offset), PLACE_FUNNEL)
        target = simulation.target.copy()
        target[:2] += offset * _freedom(height - position[2])
        target[2] += height - position[2]
        return self._move(target, 1.0)

    def _pick(self) -> np.ndarray:
        """Go above the object, down around it, and close."""
        simulation = self._env.simulation
        state = simulation.state().astype(np.float64)
        grasp = grasp_state(simulation)
        away = pose.difference(state, grasp)
        sideways = np.linalg.norm(away[:2])
        if sideways < CLOSE_ENOUGH and abs(away[2]) < CLOSE_ENOUGH:
            return self._move(grasp, 1.0)
        target = grasp.copy()
        if simulation.target[pose.GRIPPER] > PULL:
            target[2] += HOVER
        else:
            target[2] += HOVER * _share(sideways, FUNNEL)
        # Up first where it is too low: the open hand would push the object over.
        target[:2] = state[:2] + away[:2] * _freedom(target[2] - state[2])
        return self._move(target, 0.0)

    def _let_go(self) -> np.ndarray:
        """Open where the hand is, then go straight up."""
        simulation = self._env.simulation
        target = simulation.target.copy()
        if simulation.closedness() < PULL:
            target[2] = simulation.object_half_height() * 2 + FLANGE_TO_PAD[simulation.gripper] + LIFT * 0.7
        return self._move(target, 0.0)

    def _holding(self) -> bool:
        simulation = self._env.simulation
        gripped = simulation.fingers_touching() == 2 and simulation.target[pose.GRIPPER] > 0.9
        return gripped or is_held(simulation)

    def _grip(self) -> float:
        return float(self._env.simulation.target[pose.GRIPPER])

    def _move(self, target: np.ndarray, closedness: float) -> np.ndarray:
        """The action toward a state, shortened so that its direction is kept within the step limits."""
        simulation = self._env.simulation
        action = pose.difference(simulation.target, target)
        limits = self._env.arm.limits
        action[:3] /= max(1.0, np.abs(action[:3]).max() / limits.max_translation)
        action[3:6] = np.clip(action[3:6], -limits.max_rotation, limits.max_rotation)
        action[pose.GRIPPER] = np.clip(
            closedness - simulation.target[pose.GRIPPER], -limits.max_gripper, limits.max_gripper
        )
        if closedness == 0.0:  # opening counts from where the fingers are
            action[pose.GRIPPER] = np.clip(-simulation.closedness(), -limits.max_gripper, 0.0)
        return action.astype(np.float32)


def _share(off: float, ends: tuple[float, float]) -> float:
    """0 up to the first end, 1 from the second on, straight between."""
    low, high = ends
    return float(np.clip((off - low) / (high - low), 0.0, 1.0))


def _freedom(missing: float) -> float:
    """What share of a way sideways may be gone while so many metres of height are missing."""
    return float(np.clip(1.0 - missing / CLEARANCE, 0.0, 1.0))
