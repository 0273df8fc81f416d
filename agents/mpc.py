"""Model-predictive control toward goal images: imagine, compare in feature space, do the first step, look again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from agents.cem import CEM, CEMConfig, Plan
from envs.errors import UserError
from envs.observation import Goal, Observation
from envs.pose import ACTION_DIM, GRIPPER
from envs.safety import SafetyLimits
from vjepa_sim.heads import state_target
from vjepa_sim.world_model import WorldModel

FREE = (0, 1, 2, 5, 6)  # x, y, z, yaw and grip are searched; the hand keeps pointing down


@dataclass(frozen=True)
class MPCConfig:
    """How to plan.

    Attributes:
        cem: the search.
        pose_weight: of the arm's place in the goal image, as the state decoder reads it, against where the action
            puts the arm; in units of the feature distance per 10 cm.
        grip_weight: likewise for the grip, per full closing.
        grip_threshold: a smaller planned change of the grip is not sent (the reference planner's rule).
        view_angle: for a camera that stands elsewhere than in the model's training (see :mod:`agents.view`): degrees,
            counterclockwise seen from above, by which a planned motion is turned before it is sent. The state decoder
            misreads places there, present and goal alike, so both are read off their pictures.
    """

    cem: CEMConfig = field(default_factory=CEMConfig)
    pose_weight: float = 0.2
    grip_weight: float = 0.2
    grip_threshold: float = 0.25
    view_angle: float | None = None

    def __post_init__(self) -> None:
        if self.view_angle is not None and not np.isfinite(self.view_angle):
            raise UserError(f"view_angle={self.view_angle}: expected degrees.")


def feature_distance(
    model: WorldModel, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor, goal: torch.Tensor
) -> torch.Tensor:
    """How far imagined ends are from a goal, as the paper's planner measures it.

    Args:
        model: that imagines.
        z: the present's latent [tokens, dim].
        state: the arm's [7].
        actions: [N, H, 7].
        goal: the goal's latent [tokens, dim].

    Returns:
        Mean absolute differences of features [N], on the CPU: what is done with them is too small for a GPU.
    """
    end = model.rollout(z, state, actions)[:, -1]
    return (end - goal).abs().mean((1, 2)).cpu()


class MPCAgent:
    """Plans each action anew with a world model; changes to the next sub-goal after its number of steps.

    It is given images, the arm's own state and goal images, and nothing else.
    """

    def __init__(
        self, model: WorldModel, config: MPCConfig | None = None, limits: SafetyLimits | None = None, seed: int = 0
    ):
        if model.predictor is None:
            raise UserError(
                f"Checkpoint {model.card.name!r} has only an encoder; train a predictor with `vjepa-sim train`."
            )
        self.model = model
        self.config = config or MPCConfig()
        limits = limits or SafetyLimits()
        bound = torch.zeros(ACTION_DIM)
        bound[list(FREE)] = torch.tensor(limits.step, dtype=torch.float32)[list(FREE)]
        self._planner = CEM(self.config.cem, bound)
        self._seed = seed
        self._latents: list[torch.Tensor] = []
        self.model_evaluations = 0
        self.plan: Plan | None = None

    def begin(self, goals: list[Goal]) -> None:
        """Encode the goals and start with the first."""
        if not goals or not all(isinstance(goal, Goal) for goal in goals):
            raise UserError(
                "begin() takes at least one envs.observation.Goal: info['goals'] after a reset, or [Goal(rgb=image, "
                "steps=10)] for a picture of your own."
            )
        self._latents = [self.model.encode(goal.rgb)[0] for goal in goals]
        self._deadlines = np.cumsum([goal.steps for goal in goals])
        decoder = self.model.state_decoder
        with torch.inference_mode():
            self._states = [None if decoder is None else decoder(z).cpu() for z in self._latents]
        self._step = 0
        self._generator = torch.Generator().manual_seed(self._seed)

    def act(self, observation: Observation) -> np.ndarray:
        """Plan from what is seen now; returns the first action of the plan, float32 [7]."""
        if not self._latents:
            raise UserError("Call begin(goals) before act(observation).")
        if not isinstance(observation, Observation):
            raise UserError(
                f"act() takes an envs.observation.Observation, such as env.unwrapped.observation; a "
                f"{type(observation).__name__} was given."
            )
        current = min(int(np.searchsorted(self._deadlines, self._step, side="right")), len(self._latents) - 1)
        self._step += 1
        z = self.model.encode(observation.rgb)[0]
        state = torch.from_numpy(observation.state)
        goal, goal_state = self._latents[current], self._states[current]

        def cost(actions: torch.Tensor) -> torch.Tensor:
            return self._energy(z, state, actions, goal, goal_state)

        with torch.inference_mode():
            self.plan = self._planner.plan(cost, self._generator)
        self.model_evaluations = self.plan.evaluations
        action = self.plan.actions[0].numpy().copy()
        action[:2] = self._turned(action[:2])
        # Fingers stop at what they hold: to close is to close all the way, or the grip has no force.
        grip = action[GRIPPER]
        action[GRIPPER] = (
            0.0 if abs(grip) < self.config.grip_threshold else np.sign(grip) * float(self._planner.bound[GRIPPER])
        )
        return action

    def _turned(self, move: np.ndarray) -> np.ndarray:
        """A horizontal move [2] from the model's directions to the arm's; shortened, not bent, to the arm's limits."""
        if self.config.view_angle is None:
            return move
        cosine, sine = np.cos(np.radians(self.config.view_angle)), np.sin(np.radians(self.config.view_angle))
        move = np.array([[cosine, -sine], [sine, cosine]]) @ move
        return move / max(1.0, float(np.max(np.abs(move) / self._planner.bound[:2].numpy())))

    def _energy(
        self,
        z: torch.Tensor,
        state: torch.Tensor,
        actions: torch.Tensor,
        goal: torch.Tensor,
        goal_state: torch.Tensor | None,
    ) -> torch.Tensor:
        """Distance of imagined ends to the goal [N]."""
        distance = feature_distance(self.model, z, state, actions, goal)
        if goal_state is None:  # a released model reads no states: features alone, as its authors plan
            return distance
        moved = state_target(state + actions.sum(1))
        if self.config.view_angle is not None:
            moved[:, :3] += self.model.state_decoder(z)[:3].cpu() - state_target(state)[:3]
        pose_error = (moved[:, :3] - goal_state[:3]).norm(dim=1)
        grip_error = (moved[:, 3].clamp(0, 1) - goal_state[3]).abs()
        return distance + self.config.pose_weight * pose_error + self.config.grip_weight * grip_error
