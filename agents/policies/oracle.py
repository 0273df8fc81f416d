"""The simulator in place of a world model's predictor: an upper bound for planning."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import Card
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.protocols import LatentDynamics


class SimulatedRollouts(nn.Module, LatentDynamics):
    """A world model whose rollouts are simulated: its encoder and heads with the simulator's dynamics.

    Each plan is executed in the environment, rendered and encoded, then the environment is restored. It is privileged
    like the scripted expert: an upper bound in tables, and not for robots.
    """

    def __init__(self, model: LatentDynamics, env: SimEnv):
        """
        Args:
            model: world model that encodes and decodes.
            env: environment whose present state every plan starts from.
        """
        super().__init__()
        self._model = model
        self._env = env

    @property
    def card(self) -> Card:
        """Card of the model."""
        return self._model.card

    @property
    def goal_policy(self) -> GoalPolicy | None:
        """Goal policy of the model."""
        return self._model.goal_policy

    @property
    def imagines(self) -> bool:
        """Whether the model itself predicts: a checkpoint of stage one is refused here too."""
        return self._model.imagines

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self._model.device

    def to(self, device: Any) -> SimulatedRollouts:
        """Move the model to a device."""
        self._model.to(device)
        return self

    def encode(self, rgb: np.ndarray) -> torch.Tensor:
        """See :meth:`.LatentDynamics.encode`."""
        return self._model.encode(rgb)

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """See :meth:`.LatentDynamics.read`."""
        return self._model.read(z)

    def decode(self, z: torch.Tensor) -> torch.Tensor | None:
        """See :meth:`.LatentDynamics.decode`."""
        return self._model.decode(z)

    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Execute N plans from the environment's present state and encode the images after each step.

        Args:
            z, state: unused; the environment has the present state.
            actions: [N, H, 7], metres, radians, closedness, base frame.

        Returns:
            Latents [N, H, tokens, dim], without gradients.
        """
        env, images = self._env, []
        before = env.simulation.save()
        try:
            for plan in torch.as_tensor(actions).cpu().numpy():
                env.simulation.restore(before)
                stopped = False
                for action in plan:
                    if not stopped:
                        try:
                            env.arm.command(action)
                        except ArmFault:  # the arm stays where it stopped, as in an episode
                            stopped = True
                    images.append(env.arm.observe().rgb)
        finally:
            env.simulation.restore(before)
        z = self.encode(np.stack(images))
        return z.unflatten(0, (len(actions), -1))
