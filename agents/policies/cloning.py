"""Agent of a goal-conditioned behaviour-cloning policy; see :mod:`vjepa_sim.baselines.cloning`."""

from __future__ import annotations

import numpy as np
import torch

from vjepa_sim.agents.planning.subgoals import SubgoalClock
from vjepa_sim.baselines.cloned_policy import DRAWS, Policy
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import GRIPPER
from vjepa_sim.envs.safety import SafetyLimits


class CloningAgent:
    """Samples :data:`.DRAWS` action chunks from the policy at each step and returns the per-axis median of their first
    actions. Sub-goals follow :class:`.SubgoalClock`.
    """

    model_evaluations = 0

    def __init__(self, policy: Policy, limits: SafetyLimits | None = None, seed: int = 0):
        """
        Args:
            policy: trained policy.
            limits: safety limits of the arm; None for the defaults.
            seed: random seed of the samples, the same in every episode.
        """
        self.model = policy
        self._bound = torch.tensor((limits or SafetyLimits()).step, dtype=torch.float32)
        self._seed = seed
        self._goals: list[torch.Tensor] = []
        self.current_goal = 0

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode with the first goal."""
        self._clock = SubgoalClock(goals)
        self._goals = [self.model.card.transform(goal.rgb[None])[0] for goal in goals]
        self.current_goal = 0
        self._generator = torch.Generator().manual_seed(self._seed)

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""
        if not self._goals:
            raise UserError("Call begin(goals) before act(observation).")
        self.current_goal = self._clock.due(observation)
        device = self.model.places.device
        seen = self.model.card.transform(observation.rgb[None])[0]
        images = torch.stack([seen, self._goals[self.current_goal]])[None].to(device)
        state = torch.from_numpy(observation.state)
        chunks = self.model.draw(images, state[None].to(device), self._generator, DRAWS)
        action = chunks[:, 0, 0].cpu().median(0).values
        closed = (action[GRIPPER] > 0.5).float()  # the gripper opens or closes, nothing between
        action[GRIPPER] = closed - state[GRIPPER]
        return action.clamp(-self._bound, self._bound).numpy()
