"""Model-predictive control whose imagination is the simulator itself: what planning would be worth with a perfect
model.
"""

from __future__ import annotations

import torch

from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.world_model import WorldModel


class TrueWorld(WorldModel):
    """A world model's eyes with the simulator's dynamics.

    Plans are carried out in the environment, photographed, encoded, and undone. Like the scripted expert it is given
    the environment, so it is a ceiling in tables, and can act on no robot.
    """

    def __init__(self, model: WorldModel, env: SimEnv):
        """
        Args:
            model: that encodes and reads pictures.
            env: in which plans are tried, from the moment that it is in.
        """
        super().__init__(model.card)
        self.load_state_dict(model.state_dict())
        self.to(model.device).eval()
        self._env = env

    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """What would be seen after each step of N plans, from the moment that the environment is in; without gradients.

        Args:
            z, state: ignored, for the environment knows better.
            actions: [N, H, 7] in metres, radians and closedness, base frame.

        Returns:
            Latents [N, H, tokens, dim].
        """
        env, pictures = self._env, []
        before = env.simulation.save()
        try:
            for plan in torch.as_tensor(actions).cpu().numpy():
                env.simulation.restore(before)
                stopped = False
                for action in plan:
                    if not stopped:
                        try:
                            env.arm.command(action)
                        except ArmFault:  # it stays where it stopped, as in an episode
                            stopped = True
                    pictures.append(torch.from_numpy(env.arm.observe().rgb))
        finally:
            env.simulation.restore(before)
        z = self.encode(torch.stack(pictures))
        return z.unflatten(0, (len(actions), -1))
