"""Model-predictive control toward goal images with a world model."""

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

FREE = (0, 1, 2, 5, 6)  # x, y, z, yaw and closedness; the gripper keeps pointing down
# In the order of the sum.
DEFAULT_WEIGHTS: Weights = {
    "features": 1.0,
    "end-effector": 0.2,
    "grip": 0.2,
    "object": 0.2,
    "proposal": 3.0,
    "steps": 0.6,
}


@dataclass(frozen=True, kw_only=True)
class MPCConfig:
    """Settings of the planner.

    Attributes:
        cem: settings of the search.
        gradient: evaluations of energy and gradient in a descent from the search's plans, approximately; 0 for none.
        energy: weights of the energy's terms, see :data:`.ENERGY_TERMS`.
        guided: whether the search starts from the actions of the model's goal policy, if it has one.
        search: whether to search; otherwise the goal policy's actions are sent as they are.
        searched: dimensions of an action that are searched; the others stay 0.
        grip_threshold: smallest planned change of the closedness that is sent, 0 to 1, as in V-JEPA 2-AC.
        release_share: when opening, the threshold is at most this share of the measured closedness; otherwise the
            gripper could not release wide objects.
        reached: the next sub-goal begins early, once the goal policy predicts fewer steps than this to the current one;
            0 for never, as in V-JEPA 2-AC. Without a goal policy that predicts steps, it has no effect.
        correct_view: whether readings are corrected for a displaced camera, see :class:`.Perception`.
        view_angle: angle in degrees, counterclockwise seen from above, by which planned horizontal motions are rotated
            for a camera elsewhere than in training, see :mod:`vjepa_sim.agents.calibration`; None for no rotation.
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
            raise UserError(f"view_angle={self.view_angle}: expected a finite angle in degrees.")


class MPCAgent:
    """Plans each action with a world model, and goes to the next sub-goal when the current one is reached or its steps
    are over.

    Attributes:
        model: world model.
        config: settings of the planner.
        model_evaluations: predictor evaluations of the last plan.
        current_goal: index of the current sub-goal.
    """

    def __init__(
        self, model: LatentDynamics, config: MPCConfig | None = None, limits: SafetyLimits | None = None, seed: int = 0
    ):
        """
        Args:
            model: world model.
            config: settings of the planner; None for the defaults.
            limits: safety limits of the arm; None for the defaults.
            seed: random seed of the search, the same in every episode.

        Raises:
            UserError: the model lacks a predictor, decoder or policy that the settings need.
        """
        if not model.imagines:
            raise UserError(
                f"Checkpoint {model.card.name!r} has no predictor, so it can't plan. Train one on this encoder with "
                "`vjepa-sim train`, or finish the baseline whose first stage it is."
            )
        self.model = model
        self.config = config or MPCConfig()
        policy = model.goal_policy
        if not self.config.search and (policy is None or not self.config.guided):
            raise UserError(
                f"This planner acts with the goal policy, and checkpoint {model.card.name!r} has none; choose another "
                "planner."
            )
        self._predicts_steps = policy is not None and not policy.config.inverse
        if self.config.search:
            check_terms(model, self.config.energy, self.config.guided)
        limits = limits or SafetyLimits()
        bound, free = torch.zeros(ACTION_DIM), list(self.config.searched)
        bound[free] = torch.tensor(limits.step, dtype=torch.float32)[free]
        self._planner = CEM(self.config.cem, bound)
        self._seed = seed
        self._goals: list[torch.Tensor] = []  # latents [tokens, dim]
        self.model_evaluations = self.current_goal = 0
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """The last plan.

        Raises:
            UserError: the agent has not acted yet.
        """
        if self._plan is None:
            raise UserError("There is no plan yet: call act(observation) first.")
        return self._plan

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode: encode the goals and start with the first."""
        self._clock = SubgoalClock(goals)
        self._goals = [self.model.encode(goal.rgb)[0] for goal in goals]
        # For a camera at another azimuth, the shift depends on the position.
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
            self._plan = plan = self._search(situation, goal)
        self.model_evaluations = plan.evaluations
        action = plan.actions[0].numpy().copy()
        action[:2] = self._rotated(action[:2])
        action[GRIPPER] = self._thresholded(action[GRIPPER], float(observation.state[GRIPPER]))
        return action

    def _search(self, situation: Situation, goal: Percept) -> Plan:
        proposal, bound = self._propose(situation, goal), self._planner.bound
        if not self.config.search and proposal is not None:
            return Plan(actions=proposal, cost=float("nan"), evaluations=0, curve=(), seconds=(), starts=proposal[None])
        energy = Energy(self.config.energy, situation=situation, goal=goal, proposal=proposal, bound=bound)
        plan = self._planner.plan(energy, self._generator, proposal)
        return descend(plan, energy, bound, self.config.gradient) if self.config.gradient else plan

    def _next_goal(self, situation: Situation) -> Percept:
        """The current goal, or the first one after it that the goal policy predicts not to be reached."""
        goal = situation.percept(self._goals[self.current_goal])
        policy = self.model.goal_policy
        if policy is None or not (self.config.reached and self._predicts_steps):
            return goal
        now = situation.percept(situation.z)
        while self.current_goal < len(self._goals) - 1:
            if float(_intent(policy, now, situation.state, goal).steps) >= self.config.reached:
                break
            self.current_goal += 1
            goal = situation.percept(self._goals[self.current_goal])
        return goal

    def _thresholded(self, grip: float, closedness: float) -> float:
        """The largest change of the closedness in the planned direction, or 0 below the threshold."""
        threshold = self.config.grip_threshold
        if grip < 0:
            threshold = min(threshold, self.config.release_share * closedness)
        # Fingers stop at the object: without a target beyond it, they would hold it without force.
        return 0.0 if abs(grip) < threshold else float(np.sign(grip)) * float(self._planner.bound[GRIPPER])

    def _propose(self, situation: Situation, goal: Percept) -> torch.Tensor | None:
        """Rollout of the goal policy in the model [H, 7]; None without a policy."""
        policy = self.model.goal_policy
        if policy is None or not self.config.guided:
            return None
        z, state, actions = situation.z, situation.state, []
        for step in range(self.config.cem.horizon):
            if step:
                z = self.model.rollout(situation.z, situation.state, torch.stack(actions)[None])[0, -1]
            intent = _intent(policy, situation.percept(z), state, goal)
            grip = (intent.grip > 0)[None].float().cpu() - state[GRIPPER]  # open or closed, nothing between
            action = torch.cat([intent.motion.cpu(), grip])
            actions.append(action.clamp(-self._planner.bound, self._planner.bound))
            state = integrate(state, actions[-1])
        return torch.stack(actions)

    def _rotated(self, move: np.ndarray) -> np.ndarray:
        """Rotate a horizontal motion [2] by the view's angle, and scale it to the step limits."""
        if self.config.view_angle is None:
            return move
        cosine, sine = np.cos(np.radians(self.config.view_angle)), np.sin(np.radians(self.config.view_angle))
        move = np.array([[cosine, -sine], [sine, cosine]]) @ move
        return move / max(1.0, float(np.max(np.abs(move) / self._planner.bound[:2].numpy())))


def _intent(policy: GoalPolicy, now: Percept, state: torch.Tensor, goal: Percept) -> Intent:
    """Output of the goal policy for a percept, encoded or predicted, with the arm in a state [7]."""
    return policy(now.z, now.readings, state.to(now.z.device), goal.z, goal.readings)
