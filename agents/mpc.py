"""Model-predictive control toward goal images: imagine, compare in feature space, do the first step, look again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from agents.cem import CEM, CEMConfig, Plan
from agents.energy import Energy, EnergyConfig
from agents.eyes import Eyes, Present, Scene
from agents.goal_clock import GoalClock
from agents.polish import polish
from envs.errors import UserError
from envs.observation import Goal, Observation
from envs.pose import ACTION_DIM, GRIPPER
from envs.safety import SafetyLimits
from vjepa_sim.goal_policy import Intent
from vjepa_sim.rotation import integrate
from vjepa_sim.world_model import WorldModel

FREE = (0, 1, 2, 5, 6)  # x, y, z, yaw and grip; the hand keeps pointing down


@dataclass(frozen=True)
class MPCConfig:
    """How to plan.

    Attributes:
        cem: the search.
        polish: energies and gradients with which its best plan is then polished, about; 0 leaves it as it is.
        energy: what it minimises.
        guided: begin the search at what the model's goal policy would do, if it has one.
        search: False sends just that.
        searched: dimensions of an action that are free; the others stay 0.
        grip_threshold: a smaller planned change of the grip is not sent (the reference planner's rule).
        reached: a sub-goal is left early once the goal policy, if there is one that tells, expects fewer steps to it;
            the steps saved are the next one's. 0 leaves none before its number of steps is over, as in the paper.
        release_share: but this share of the way to open hands is always enough, or they would never let go of what is
            wide.
        correct_view: shift back what is read where pictures show the hand elsewhere than the arm knows it to be, see
            :class:`agents.eyes.Eyes`.
        view_angle: for a camera that stands elsewhere than in the model's training (see :mod:`agents.view`): degrees,
            counterclockwise seen from above, by which a planned motion is turned before it is sent.
    """

    cem: CEMConfig = field(default_factory=CEMConfig)
    polish: int = 0
    energy: EnergyConfig = field(default_factory=EnergyConfig)
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
        self, model: WorldModel, config: MPCConfig | None = None, limits: SafetyLimits | None = None, seed: int = 0
    ):
        if model.predictor is None:
            raise UserError(
                f"Checkpoint {model.card.name!r} has only an encoder. Give what `vjepa-sim train`, or the baseline "
                "whose first half it is, makes of it."
            )
        self.model = model
        self.config = config or MPCConfig()
        if not self.config.search and (model.goal_policy is None or not self.config.guided):
            raise UserError(
                f"Without a search the goal policy acts, and checkpoint {model.card.name!r} has none; choose another "
                "planner."
            )
        policy = model.goal_policy
        self._tells_steps = policy is not None and not policy.config.inverse
        if self.config.search and self.config.energy.steps and policy is not None and not self._tells_steps:
            raise UserError(
                f"Checkpoint {model.card.name!r} is an inverse model and doesn't tell how many steps are left; choose "
                "another planner."
            )
        if self.config.energy.pixels and model.pixel_decoder is None:
            raise UserError(
                f"Nothing gives pictures back of what checkpoint {model.card.name!r} imagines; choose another planner "
                "than pixels."
            )
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
        self._clock = GoalClock(goals)
        self._goals = [self.model.encode(goal.rgb)[0] for goal in goals]
        # Through a camera that looks from another side, how far things are shifted depends on where they are.
        self._eyes = Eyes(self.model, self.config.correct_view, newest_only=self.config.view_angle is not None)
        self.current_goal = 0
        self._generator = torch.Generator().manual_seed(self._seed)

    def act(self, observation: Observation) -> np.ndarray:
        """Plan from what is seen now; returns the first action of the plan, float32 [7]."""
        if not self._goals:
            raise UserError("Call begin(goals) before act(observation).")
        self.current_goal = max(self.current_goal, self._clock.tick(observation))
        with torch.no_grad():
            present = self._eyes.look(observation.rgb, torch.from_numpy(observation.state))
            goal = self._next_goal(present)
            proposal = self._propose(present, goal)
            bound = self._planner.bound
            energy = Energy(self.config.energy, present, goal, proposal, bound)
            if self.config.search:
                self.plan = self._planner.plan(energy, self._generator, proposal)
                if self.config.polish:
                    self.plan = polish(self.plan, energy, bound, self.config.polish)
            else:
                self.plan = Plan(proposal, float("nan"), evaluations=0, curve=(), seconds=(), starts=proposal[None])
        self.model_evaluations = self.plan.evaluations
        action = self.plan.actions[0].numpy().copy()
        action[:2] = self._turned(action[:2])
        action[GRIPPER] = self._decided(action[GRIPPER], float(observation.state[GRIPPER]))
        return action

    def _next_goal(self, present: Present) -> Scene:
        """The current goal, or the first after it that isn't reached yet if a goal policy tells."""
        goal = present.scene(self._goals[self.current_goal])
        if not (self.config.reached and self._tells_steps):
            return goal
        now = present.scene(present.z)
        while self.current_goal < len(self._goals) - 1:
            if float(self._intent(now, present.state, goal).steps) >= self.config.reached:
                break
            self.current_goal += 1
            goal = present.scene(self._goals[self.current_goal])
        return goal

    def _intent(self, now: Scene, state: torch.Tensor, goal: Scene) -> Intent:
        """What the goal policy makes of a scene, seen or imagined, with the arm in a state [7]."""
        return self.model.goal_policy(now.z, now.read, state.to(now.z.device), goal.z, goal.read)

    def _decided(self, grip: float, closedness: float) -> float:
        """A change of the grip that is worth sending, or 0."""
        threshold = self.config.grip_threshold
        if grip < 0:
            threshold = min(threshold, self.config.release_share * closedness)
        # Fingers stop at what they hold: to close is to close all the way, or the grip has no force.
        return 0.0 if abs(grip) < threshold else np.sign(grip) * float(self._planner.bound[GRIPPER])

    def _propose(self, present: Present, goal: Scene) -> torch.Tensor | None:
        """What the goal policy would do, step after imagined step [H, 7]; None without one."""
        if self.model.goal_policy is None or not self.config.guided:
            return None
        z, state, actions = present.z, present.state, []
        for step in range(self.config.cem.horizon):
            if step:
                z = self.model.rollout(present.z, present.state, torch.stack(actions)[None])[0, -1]
            intent = self._intent(present.scene(z), state, goal)
            grip = (intent.grip > 0)[None].float().cpu() - state[GRIPPER]  # hands open or close, nothing between
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
