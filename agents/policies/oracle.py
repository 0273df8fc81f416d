"""The simulator in place of a world model's predictor: an upper bound for planning."""

from __future__ import annotations

import torch

from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.world_model import WorldModel


class SimulatedRollouts(WorldModel):
    """A world model whose rollouts are simulated: its encoder and heads with the simulator's dynamics.

    Each plan is executed in the environment, rendered and encoded, then the environment is restored. It is privileged
    like the scripted expert: an upper bound in tables, and not for robots.
    """

    def __init__(self, model: WorldModel, env: SimEnv):
        """
        Args:
            model: world model that encodes and decodes.
            env: environment whose present state every plan starts from.
        """
        super().__init__(model.card)
        self.load_state_dict(model.state_dict())
        self.to(model.device).eval()
        self._env = env

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
                    images.append(torch.from_numpy(env.arm.observe().rgb))
        finally:
            env.simulation.restore(before)
        z = self.encode(torch.stack(images))
        return z.unflatten(0, (len(actions), -1))
