"""Behaviors: the policies that collect episodes, with noise and mistakes.

Behaviors may read the simulator's state, as they make data; agents under evaluation may not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from vjepa_sim.agents.agent import Agent
from vjepa_sim.agents.policies.expert import Expert, skill_for
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks.grasping import pointing_down

NOISE = np.array([0.03] * 3 + [0.0, 0.0, 0.12] + [0.0])  # maximum standard deviation of the noise on a step
NOISY_STEPS = 0.5  # share of steps with noise
SOLVED_STEPS = 3  # steps by which an expert's episode continues after the first success
MISTAKES = 0.1  # maximum share of steps with a random gripper action

Act = Callable[[Observation], np.ndarray]


@dataclass
class Behavior:
    """The agent of one collected episode.

    Attributes:
        policy: returns the intended action [7] for an observation.
        disturb: returns the action [7] that is sent for an intended one, with noise and mistakes.
        finished: whether the episode ends before its steps are over.
        meant: last intended action [7], recorded beside the one that was sent.
        model_evaluations, current_goal: see :class:`.Agent`; unused.
    """

    policy: Act
    _: KW_ONLY
    disturb: Callable[[np.ndarray], np.ndarray] = lambda action: action
    finished: Callable[[], bool] = lambda: False
    meant: np.ndarray = field(default_factory=lambda: np.zeros(pose.ACTION_DIM, np.float32))
    model_evaluations: int = 0
    current_goal: int = 0

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode; goals are unused, as the behavior was made for its environment."""

    def act(self, observation: Observation) -> np.ndarray:
        """The action that is sent, float32 [7]."""
        with naming_part("The behavior's policy", self.policy):
            self.meant = self.policy(observation)
        return self.disturb(self.meant)


@dataclass(frozen=True)
class BehaviorSpec:
    """A kind of behavior.

    Attributes:
        name: name on the command line.
        make: makes the behavior of a freshly reset environment, with a random generator and, if ``needs_agent``, an
            agent, else None.
        needs_agent: whether it acts with an agent that has a checkpoint.
        check_task: raises :class:`.UserError` for the name of a task that the behavior does not support.
    """

    name: str
    make: Callable[[SimEnv, np.random.Generator, Agent | None], Behavior]
    needs_agent: bool = False
    check_task: Callable[[str], object] = lambda task: None


BEHAVIORS: Registry[BehaviorSpec] = Registry("behavior", BehaviorSpec)


class Explore:
    """Moves between random targets near the object, and opens and closes the gripper."""

    def __init__(self, env: SimEnv, rng: np.random.Generator):
        self._env, self._rng = env, rng
        self._target = np.zeros(pose.STATE_DIM)
        self._steps_left = 0

    def __call__(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""
        if self._steps_left == 0:
            self._draw_target()
        self._steps_left -= 1
        step = self._env.arm.limits.step
        action = pose.difference(self._env.simulation.target, self._target)
        action[:3] /= max(1.0, np.abs(action[:3]).max() / step[0])
        action += self._rng.normal(size=pose.ACTION_DIM) * NOISE * 0.5
        return np.clip(action, -step, step).astype(np.float32)

    def _draw_target(self) -> None:
        """Draw a target, mostly near the object, else anywhere above the table."""
        rng, simulation = self._rng, self._env.simulation
        if rng.random() < 0.6:
            position = simulation.object_position() + [0, 0, simulation.gripper.flange_to_pad]
            position += rng.normal(size=3) * [0.025, 0.025, 0.02] + [0, 0, rng.choice([0.0, 0.03, 0.08])]
        else:
            position = rng.uniform([0.36, -0.22, 0.17], [0.60, 0.22, 0.40])
        closedness = float(rng.choice([0.0, 1.0, rng.random()]))
        if rng.random() < 0.5:
            closedness = float(simulation.target[pose.GRIPPER])
        self._target = pointing_down(position, rng.uniform(-0.4, 0.4), closedness, simulation.gripper)
        self._steps_left = int(rng.integers(2, 5))


def _random(env: SimEnv, rng: np.random.Generator) -> Act:
    """Smooth random motion: a drift that changes occasionally, plus noise."""
    step = env.arm.limits.step * [1, 1, 1, 0.1, 0.1, 0.5, 1]
    drift = rng.uniform(-step, step)

    def act(observation: Observation) -> np.ndarray:
        nonlocal drift
        if rng.random() < 0.3:
            drift = rng.uniform(-step, step)
        if rng.random() < 0.7:
            drift[pose.GRIPPER] = 0.0
        return np.clip(drift + rng.normal(size=pose.ACTION_DIM) * step * 0.2, -step, step).astype(np.float32)

    return act


def _expert(env: SimEnv, disturb: Callable[[np.ndarray], np.ndarray] = lambda action: action) -> Behavior:
    """The scripted expert, until the task has been solved for some steps."""
    expert = Expert(env)
    expert.begin(env.goals)
    successes = 0

    def finished() -> bool:
        nonlocal successes
        successes += env.progress is not None and env.progress.success
        return successes > SOLVED_STEPS

    return Behavior(expert.act, disturb=disturb, finished=finished)


def _noise(env: SimEnv, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Noise on some steps, and a gripper that sometimes closes early or opens; the level varies between episodes."""
    step, level = env.arm.limits.step, rng.random()

    def disturb(action: np.ndarray) -> np.ndarray:
        action = action.copy()
        if rng.random() < NOISY_STEPS:
            action += rng.normal(size=pose.ACTION_DIM) * NOISE * level
        if rng.random() < MISTAKES * level:
            action[pose.GRIPPER] = rng.choice([-0.75, 0.75])
        return np.clip(action, -step, step).astype(np.float32)

    return disturb


def _planner(env: SimEnv, rng: np.random.Generator, agent: Agent | None) -> Behavior:
    """DAgger (arXiv 1011.0686): an agent acts for a random number of steps, then the expert; the expert's action is
    recorded as the intended one at every step.
    """
    if agent is None:
        raise UserError("The behavior 'planner' needs an agent with a checkpoint.")
    agent.begin([goal.image_alone() for goal in env.goals])
    steps_left = int(rng.integers(1, env.task.budget, endpoint=True))

    def disturb(action: np.ndarray) -> np.ndarray:
        nonlocal steps_left
        steps_left -= 1
        return agent.act(env.observation) if steps_left >= 0 else action

    return _expert(env, disturb)


for _spec in (
    BehaviorSpec("expert", lambda env, rng, agent: _expert(env), check_task=skill_for),
    BehaviorSpec("noisy-expert", lambda env, rng, agent: _expert(env, _noise(env, rng)), check_task=skill_for),
    BehaviorSpec("explore", lambda env, rng, agent: Behavior(Explore(env, rng))),
    BehaviorSpec("random", lambda env, rng, agent: Behavior(_random(env, rng))),
    BehaviorSpec("planner", _planner, needs_agent=True, check_task=skill_for),
):
    BEHAVIORS.register(_spec)
