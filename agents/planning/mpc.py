"""Model-predictive control toward goal images: imagine, compare in feature space, do the first step, look again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from vjepa_sim.agents.planning.cem import CEM, CEMConfig, Plan
from vjepa_sim.agents.planning.energy import Energy, Weights, check_terms
from vjepa_sim.agents.planning.gradient import descend
from vjepa_sim.agents.planning.perception import Percept, Perception, Situation
from vjepa_sim.agents.planning.subgoals import SubgoalClock
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import ACTION_DIM, GRIPPER
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.models.goal_policy import GoalPolicy, Intent
from vjepa_sim.models.rotation import integrate
from vjepa_sim.protocols import LatentDynamics

FREE = (0, 1, 2, 5, 6)  # x, y, z, yaw and grip; the gripper keeps pointing down
# In the order in which the terms are summed.
DEFAULT_WEIGHTS: Weights = {
    "features": 1.0,
    "end-effector": 0.2,
    "grip": 0.2,
    "object": 0.2,
    "proposal": 3.0,
    "steps": 0.6,
}


@dataclass(frozen=True)
class MPCConfig:
    """How to plan.

    Attributes:
        cem: the search.
        gradient: evaluations of the energy with its gradient by which the search's best plan is then improved, about; 0
            leaves it as it is.
        energy: weights of the energy's terms, see :data:`.ENERGY_TERMS`.
        guided: begin the search at what the model's goal policy would do, if it has one.
        search: False sends just that.
        searched: dimensions of an action that are free; the others stay 0.
        grip_threshold: a smaller planned change of the grip is not sent (the reference planner's rule).
        reached: a sub-goal is left early once the goal policy, if there is one that tells, expects fewer steps to it;
            the steps saved are the next one's. 0 leaves none before its number of steps is over, as in the paper.
        release_share: but this share of the way to open fingers is always enough, or they would never let go of what is
            wide.
        correct_view: shift back what is read where images show the flange elsewhere than the arm knows it to be, see
            :class:`.Perception`.
        view_angle: for a camera that stands elsewhere than in the model's training (see
            :mod:`vjepa_sim.agents.calibration`): degrees, counterclockwise seen from above, by which a planned motion
            is turned before it is sent.
    """

    cem: CEMConfig = field(default_factory=CEMConfig)
    gradient: int = 0
    energy: Weights = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    guided: bool = True
    search: bool = True
    searched: tuple[int, ...] = FREE
    grip_threshold: float = 0.25
    release_share: float = 0.5
    reached: float = 1.0
    correct_view: bool = True
    view_angle: float | None = None

    def __post_init__(self) -> None:
        if self.view_angle is not None and not np.isfinite(self.view_angle):
            raise UserError(f"view_angle={self.view_angle}: expected degrees.")


class MPCAgent:
    """Plans each action anew with a world model; changes to the next sub-goal when it is reached, or its steps are
    over.

    It is given images, the arm's own state and goal images, and nothing else.
    """

    def __init__(
        self, model: LatentDynamics, config: MPCConfig | None = None, limits: SafetyLimits | None = None, seed: int = 0
    ):
        """
        Args:
            model: that imagines.
            config: how to plan.
            limits: the arm's step limits.
            seed: random seed of the search, the same in every episode.

        Raises:
            UserError: the model lacks what the way to plan needs.
        """
        if not model.imagines:
            raise UserError(
                f"Checkpoint {model.card.name!r} has only an encoder. Give what `vjepa-sim train`, or the baseline "
                "whose first half it is, makes of it."
            )
        self.model = model
        self.config = config or MPCConfig()
        policy = model.goal_policy
        if not self.config.search and (policy is None or not self.config.guided):
            raise UserError(
                f"Without a search the goal policy acts, and checkpoint {model.card.name!r} has none; choose another "
                "planner."
            )
        self._tells_steps = policy is not None and not policy.config.inverse
        if self.config.search:
            check_terms(model, self.config.energy)
        limits = limits or SafetyLimits()
        bound, free = torch.zeros(ACTION_DIM), list(self.config.searched)
        bound[free] = torch.tensor(limits.step, dtype=torch.float32)[free]
        self._planner = CEM(self.config.cem, bound)
        self._seed = seed
        self._goals: list[torch.Tensor] = []  # latents [tokens, dim]
        self.model_evaluations = self.current_goal = 0
        self.plan: Plan | None = None

    def begin(self, goals: list[Goal]) -> None:
        """Encode the goals and start with the first."""
        self._clock = SubgoalClock(goals)
        self._goals = [self.model.encode(goal.rgb)[0] for goal in goals]
        # Through a camera that looks from another side, how far things are shifted depends on where they are.
        self._perception = Perception(
            self.model, self.config.correct_view, newest_only=self.config.view_angle is not None
        )
        self.current_goal = 0
        self._generator = torch.Generator().manual_seed(self._seed)

    def act(self, observation: Observation) -> np.ndarray:
        """Plan from what is seen now; returns the first action of the plan, float32 [7]."""
        if not self._goals:
            raise UserError("Call begin(goals) before act(observation).")
        self.current_goal = max(self.current_goal, self._clock.due(observation))
        with torch.no_grad():
            situation = self._perception.perceive(observation.rgb, torch.from_numpy(observation.state))
            goal = self._next_goal(situation)
            self.plan = self._plan(situation, goal)
        self.model_evaluations = self.plan.evaluations
        action = self.plan.actions[0].numpy().copy()
        action[:2] = self._turned(action[:2])
        action[GRIPPER] = self._decided(action[GRIPPER], float(observation.state[GRIPPER]))
        return action

    def _plan(self, situation: Situation, goal: Percept) -> Plan:
        proposal, bound = self._propose(situation, goal), self._planner.bound
        if not self.config.search and proposal is not None:
            return Plan(proposal, float("nan"), evaluations=0, curve=(), seconds=(), starts=proposal[None])
        energy = Energy(self.config.energy, situation, goal, proposal, bound)
        plan = self._planner.plan(energy, self._generator, proposal)
        return descend(plan, energy, bound, self.config.gradient) if self.config.gradient else plan

    def _next_goal(self, situation: Situation) -> Percept:
        """The current goal, or the first after it that isn't reached yet if a goal policy tells."""
        goal = situation.percept(self._goals[self.current_goal])
        policy = self.model.goal_policy
        if policy is None or not (self.config.reached and self._tells_steps):
            return goal
        now = situation.percept(situation.z)
        while self.current_goal < len(self._goals) - 1:
            if float(_intent(policy, now, situation.state, goal).steps) >= self.config.reached:
                break
            self.current_goal += 1
            goal = situation.percept(self._goals[self.current_goal])
        return goal

    def _decided(self, grip: float, closedness: float) -> float:
        """A change of the grip that is worth sending, or 0."""
        threshold = self.config.grip_threshold
        if grip < 0:
            threshold = min(threshold, self.config.release_share * closedness)
        # Fingers stop at what they hold: to close is to close all the way, or the grip has no force.
        return 0.0 if abs(grip) < threshold else float(np.sign(grip)) * float(self._planner.bound[GRIPPER])

    def _propose(self, situation: Situation, goal: Percept) -> torch.Tensor | None:
        """What the goal policy would do, step after imagined step [H, 7]; None without one."""
        policy = self.model.goal_policy
        if policy is None or not self.config.guided:
            return None
        z, state, actions = situation.z, situation.state, []
        for step in range(self.config.cem.horizon):
            if step:
                z = self.model.rollout(situation.z, situation.state, torch.stack(actions)[None])[0, -1]
            intent = _intent(policy, situation.percept(z), state, goal)
            grip = (intent.grip > 0)[None].float().cpu() - state[GRIPPER]  # fingers open or close, nothing between
            action = torch.cat([intent.motion.cpu(), grip])
            actions.append(action.clamp(-self._planner.bound, self._planner.bound))
            state = integrate(state, actions[-1])
        return torch.stack(actions)

    def _turned(self, move: np.ndarray) -> np.ndarray:
        """A horizontal move [2] from the model's directions to the arm's; shortened, not bent, to the arm's limits."""
        if self.config.view_angle is None:
            return move
        cosine, sine = np.cos(np.radians(self.config.view_angle)), np.sin(np.radians(self.config.view_angle))
        move = np.array([[cosine, -sine], [sine, cosine]]) @ move
        return move / max(1.0, float(np.max(np.abs(move) / self._planner.bound[:2].numpy())))


def _intent(policy: GoalPolicy, now: Percept, state: torch.Tensor, goal: Percept) -> Intent:
    """What the goal policy makes of a percept, seen or imagined, with the arm in a state [7]."""
    return policy(now.z, now.readings, state.to(now.z.device), goal.z, goal.readings)
