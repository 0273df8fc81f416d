"""The scripted expert: privileged, and the upper bound in every table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks.grasping import LIFT, grasp_state, is_held

CLOSE_ENOUGH = 0.012  # m from the grasp at which the fingers close
HOVER = 0.07  # m above the grasp from which the gripper goes down
CARRY = 0.8 * LIFT  # m above the table at which the object is carried
CLEARANCE = 0.03  # m below the wanted height at which nothing moves sideways any more
PULL = 0.05  # closedness that an open gripper may have by mistake
THERE = 0.02  # m from its place at which the object is let go

# Within the first the gripper goes straight down, beyond the second it stays high, and between them it comes down as it
# gets nearer. Rules that jump can't be imitated: to a model that sees half a centimetre wrong, up and down add up to
# nothing. Nor can those that depend on what is hardly seen: the gripper turns as the box is turned, but never waits for
# that; closing fingers turn the box as well.
FUNNEL = (0.012, 0.04)  # m sideways from the grasp
PLACE_FUNNEL = (0.012, 0.04)  # m sideways from where the object should stand


class Manipulator:
    """What skills are made of: feedback motions on the simulator's own state, which recover from noise and pushes.

    Attributes:
        env: the environment.
        goals: of the episode, with the arm's states.
    """

    def __init__(self, env: SimEnv, goals: list[Goal]):
        self.env, self.goals = env, goals

    def move(self, target: np.ndarray, closedness: float) -> np.ndarray:
        """The action [7] toward a state [7], shortened so that its direction is kept within the step limits."""
        simulation, limits = self.env.simulation, self.env.arm.limits
        action = pose.difference(simulation.target, target)
        action[:3] /= max(1.0, np.abs(action[:3]).max() / limits.max_translation)
        action[3:6] = np.clip(action[3:6], -limits.max_rotation, limits.max_rotation)
        action[pose.GRIPPER] = np.clip(
            closedness - simulation.target[pose.GRIPPER], -limits.max_gripper, limits.max_gripper
        )
        if closedness == 0.0:  # opening counts from where the fingers are
            action[pose.GRIPPER] = np.clip(-simulation.closedness(), -limits.max_gripper, 0.0)
        return action.astype(np.float32)

    def pick(self) -> np.ndarray:
        """The action [7] of going above the object, down around it, and closing."""
        simulation = self.env.simulation
        state = simulation.state().astype(np.float64)
        grasp = grasp_state(simulation)
        away = pose.difference(state, grasp)
        sideways = float(np.linalg.norm(away[:2]))
        if sideways < CLOSE_ENOUGH and abs(away[2]) < CLOSE_ENOUGH:
            return self.move(grasp, 1.0)
        target = grasp.copy()
        if simulation.target[pose.GRIPPER] > PULL:
            target[2] += HOVER
        else:
            target[2] += HOVER * share(sideways, FUNNEL)
        # Up first where it is too low: the open gripper would push the object over.
        target[:2] = state[:2] + away[:2] * freedom(target[2] - state[2])
        return self.move(target, 0.0)

    def let_go(self) -> np.ndarray:
        """The action [7] of opening where the gripper is, then going straight up."""
        simulation = self.env.simulation
        target = simulation.target.copy()
        if simulation.closedness() < PULL:
            target[2] = simulation.object_half_height * 2 + simulation.gripper.flange_to_pad + LIFT * 0.7
        return self.move(target, 0.0)

    def holds(self) -> bool:
        """Whether the object is gripped, also while it stands on the table."""
        simulation = self.env.simulation
        gripped = simulation.fingers_touching() == 2 and simulation.target[pose.GRIPPER] > 0.9
        return gripped or is_held(simulation)


@dataclass(frozen=True)
class Skill:
    """How the expert does a task.

    Attributes:
        name: the task's.
        act: the next action [7].
    """

    name: str
    act: Callable[[Manipulator], np.ndarray]


SKILLS: Registry[Skill] = Registry("skill")


def skill_for(task: str) -> Skill:
    """The expert's skill for a task.

    Raises:
        UserError: it has none.
    """
    skill = SKILLS.get(task)
    if skill is None:
        raise UserError(
            f"The scripted expert has no skill for task {task!r}; it has for {', '.join(SKILLS)}. Register one "
            "(vjepa_sim.agents.policies.expert.SKILLS), or leave the expert out."
        )
    return skill


class Expert:
    """A feedback policy that is given the environment, with a skill for each task."""

    model_evaluations = 0
    current_goal = 0

    def __init__(self, env: SimEnv):
        """
        Args:
            env: that it acts in and reads.

        Raises:
            UserError: there is no skill for the environment's task.
        """
        self._env, self._skill = env, skill_for(env.task.name)
        self._manipulator: Manipulator | None = None

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode. Everything is read from the environment, the arm's pose in the goal images too."""
        goals = self._env.goals
        if not goals or goals[-1].state is None:
            raise UserError(
                "The scripted expert needs the task's own goals: it can't see, so a goal image tells it nothing."
            )
        self._manipulator, self.current_goal = Manipulator(self._env, goals), len(goals) - 1

    def act(self, observation: Observation) -> np.ndarray:
        """Action [7] float32."""
        if self._manipulator is None:
            raise UserError("Call begin(goals) before act(observation).")
        return self._skill.act(self._manipulator)


def share(off: float, ends: tuple[float, float]) -> float:
    """0 up to the first end, 1 from the second on, straight between."""
    low, high = ends
    return float(np.clip((off - low) / (high - low), 0.0, 1.0))


def freedom(missing: float) -> float:
    """What share of a way sideways may be gone while so many metres of height are missing."""
    return float(np.clip(1.0 - missing / CLEARANCE, 0.0, 1.0))


# --- skills -------------------------------------------------------------------------------------------------------


def _reach(manipulator: Manipulator) -> np.ndarray:
    """Go to where the arm was in the goal, holding what is held."""
    grip = float(manipulator.env.simulation.target[pose.GRIPPER])
    return manipulator.move(manipulator.goals[-1].state, grip)


def _grasp(manipulator: Manipulator) -> np.ndarray:
    return manipulator.move(manipulator.goals[-1].state, 1.0) if manipulator.holds() else manipulator.pick()


def _pick_and_place(manipulator: Manipulator) -> np.ndarray:
    simulation, place = manipulator.env.simulation, manipulator.env.task.desired[:2]
    position = simulation.object_position()
    offset = place - position[:2]
    standing = abs(position[2] - simulation.object_half_height) < 0.006
    if np.linalg.norm(offset) < THERE and standing:
        return manipulator.let_go()
    if not manipulator.holds():
        return manipulator.pick()
    height = simulation.object_half_height + CARRY * share(float(np.linalg.norm(offset)), PLACE_FUNNEL)
    target = simulation.target.copy()
    target[:2] += offset * freedom(height - position[2])
    target[2] += height - position[2]
    return manipulator.move(target, 1.0)


for _skill in (
    Skill("reach", _reach),
    Skill("reach-with-object", _reach),
    Skill("grasp", _grasp),
    Skill("pick-and-place", _pick_and_place),
):
    SKILLS.register(_skill)
