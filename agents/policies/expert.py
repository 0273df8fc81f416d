"""The scripted expert: a privileged policy, and an upper bound in tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.part_checks import check_fields
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks.grasping import LIFT, grasp_state, is_held

CLOSE_ENOUGH = 0.012  # m, distance from the grasp at which the fingers close
HOVER = 0.07  # m, height above the grasp from which the gripper descends
CARRY = 0.8 * LIFT  # m, height above the table at which the object is carried
CLEARANCE = 0.03  # m, missing height at which there is no sideways motion
PULL = 0.05  # closedness up to which the gripper counts as open
THERE = 0.02  # m, distance from its destination at which the object is released

# Sideways distances between which the gripper's height rises linearly from 0 to its maximum. A height that jumped with
# the distance could not be imitated: a model with an error of half a centimetre would average up and down. For the same
# reason the gripper never waits for its yaw, which is hardly visible; closing fingers turn the box as well.
FUNNEL = (0.012, 0.04)  # m from the grasp
PLACE_FUNNEL = (0.012, 0.04)  # m from the object's destination


class Manipulator:
    """Motion primitives of the skills: feedback on the simulator's state, which recovers from noise and pushes.

    Attributes:
        env: the environment.
        goal_state: the arm's state [7] in the last goal.
    """

    def __init__(self, env: SimEnv, goal_state: np.ndarray):
        self.env, self.goal_state = env, goal_state

    def move(self, target: np.ndarray, closedness: float) -> np.ndarray:
        """Action [7] toward a state.

        Args:
            target: state [7] to move to; its closedness is not used.
            closedness: closedness to move to.

        Returns:
            float32 [7], within the step limits; the translation is scaled as a whole, so its direction is kept.
        """
        simulation, limits = self.env.simulation, self.env.arm.limits
        action = pose.difference(simulation.target, target)
        action[:3] /= max(1.0, np.abs(action[:3]).max() / limits.max_translation)
        action[3:6] = np.clip(action[3:6], -limits.max_rotation, limits.max_rotation)
        action[pose.GRIPPER] = np.clip(
            closedness - simulation.target[pose.GRIPPER], -limits.max_gripper, limits.max_gripper
        )
        if closedness == 0.0:  # relative to the measured fingers, which an object may have stopped
            action[pose.GRIPPER] = np.clip(-simulation.closedness(), -limits.max_gripper, 0.0)
        return action.astype(np.float32)

    def pick(self) -> np.ndarray:
        """Action [7] that moves above the object, down around it, and closes the gripper."""
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
        # First up if it is too low: the open gripper would tip the object over.
        target[:2] = state[:2] + away[:2] * freedom(target[2] - state[2])
        return self.move(target, 0.0)

    def let_go(self) -> np.ndarray:
        """Action [7] that opens the gripper, then moves straight up."""
        simulation = self.env.simulation
        target = simulation.target.copy()
        if simulation.closedness() < PULL:
            target[2] = simulation.object_half_height * 2 + simulation.gripper.flange_to_pad + LIFT * 0.7
        return self.move(target, 0.0)

    def holds(self) -> bool:
        """Whether the object is grasped, also while it stands on the table."""
        simulation = self.env.simulation
        gripped = simulation.fingers_touching() == 2 and simulation.target[pose.GRIPPER] > 0.9
        return gripped or is_held(simulation)


@dataclass(frozen=True)
class Skill:
    """The expert's policy for one task.

    Attributes:
        name: name of the task.
        act: returns the next action [7].
    """

    name: str
    act: Callable[[Manipulator], np.ndarray]


def _check_skill(skill: Skill) -> None:
    check_fields("skill", skill, [("act", callable(skill.act), "a function that returns the next action [7]")])


SKILLS: Registry[Skill] = Registry("skill", Skill, _check_skill)


def skill_for(task: str) -> Skill:
    """The expert's skill for a task.

    Raises:
        UserError: there is none.
    """
    skill = SKILLS.get(task)
    if skill is None:
        raise UserError(
            f"The scripted expert has no skill for task {task!r}, only for {', '.join(SKILLS)}. Register one "
            "(vjepa_sim.agents.policies.expert.SKILLS), or leave the expert out."
        )
    return skill


class Expert:
    """A scripted feedback policy that reads the simulator's state, with a skill per task."""

    model_evaluations = 0
    current_goal = 0

    def __init__(self, env: SimEnv):
        """
        Args:
            env: environment that it acts in and reads.

        Raises:
            UserError: there is no skill for the environment's task.
        """
        self._env, self._skill = env, skill_for(env.task.name)
        self._manipulator: Manipulator | None = None

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode.

        Args:
            goals: unused; the environment's own goals have the arm's states.

        Raises:
            UserError: the environment's goals lack the arm's states.
        """
        goals = self._env.goals
        if not goals or goals[-1].state is None:
            raise UserError("The scripted expert needs the task's own goals: it does not use images.")
        self._manipulator, self.current_goal = Manipulator(self._env, goals[-1].state), len(goals) - 1

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""
        if self._manipulator is None:
            raise UserError("Call begin(goals) before act(observation).")
        with naming_part(f"Skill {self._skill.name!r}", self._skill.act):
            action = self._skill.act(self._manipulator)
        if np.shape(action) != (pose.ACTION_DIM,):
            raise UserError(f"The expert's skill {self._skill.name!r} returned {action!r:.80}; expected an action [7].")
        return action


def share(off: float, ends: tuple[float, float]) -> float:
    """0 below the first end, 1 above the second, linear between."""
    low, high = ends
    return float(np.clip((off - low) / (high - low), 0.0, 1.0))


def freedom(missing: float) -> float:
    """Share of a sideways motion that is allowed while ``missing`` metres of height are left to rise."""
    return float(np.clip(1.0 - missing / CLEARANCE, 0.0, 1.0))


# --- skills -------------------------------------------------------------------------------------------------------


def _reach(manipulator: Manipulator) -> np.ndarray:
    """Move to the arm's pose in the goal without opening or closing the gripper."""
    grip = float(manipulator.env.simulation.target[pose.GRIPPER])
    return manipulator.move(manipulator.goal_state, grip)


def _grasp(manipulator: Manipulator) -> np.ndarray:
    return manipulator.move(manipulator.goal_state, 1.0) if manipulator.holds() else manipulator.pick()


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
