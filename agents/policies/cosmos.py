"""NVIDIA's action-conditioned Cosmos-Predict2 as a world model: its package, its weights, our contract; latents are the
pictures.

The package isn't on a package index, and its two billion parameters need a GPU. It generates a chunk of twelve frames,
four a second, from one frame and twelve actions: changes of pose in the hand's own frame, twenty-fold, and the
closedness.
"""

from __future__ import annotations

import numpy as np
import torch

from vjepa_sim.card import Card
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.optional import load_package
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION, difference, euler_to_matrix, integrate, matrix_to_euler
from vjepa_sim.transform import ImageTransform

CHUNK = 12  # actions that it takes at once
ACTION_GAIN = 20.0
GUIDANCE = 0.0  # it is told no text that it could be guided by
SIZE = 256  # pixels that our camera's pictures have
PERIOD = 0.25  # s
INSTALL = (
    "Install it from https://github.com/nvidia-cosmos/cosmos-predict2 on a machine with a GPU, or train our own small "
    "one: vjepa-sim baseline video."
)


class CosmosWorld:
    """What a planner needs of a world model; there are no decoders and no goal policy, so energies are distances of
    pictures.

    Attributes:
        card: what it expects.
        device: where latents are: they are pictures, and wait on the CPU.
        predictor: the pipeline.
    """

    state_decoder = object_decoder = pixel_decoder = goal_policy = None
    device = torch.device("cpu")

    def __init__(self, checkpoint: str, steps: int = 35):
        """
        Args:
            checkpoint: of the diffusion transformer, a file.
            steps: from noise to pictures.

        Raises:
            UserError: the package is missing, or the weights can't be loaded.
        """
        configs, pipelines = (
            load_package(f"cosmos_predict2.{name}", "Agent 'cosmos'", INSTALL)
            for name in ("configs.action_conditioned.config", "pipelines.video2world_action")
        )
        config = configs.get_cosmos_predict2_action_conditioned_pipeline(model_size="2B", resolution="480", fps=4)
        config.guardrail_config.enabled = config.prompt_refiner_config.enabled = False
        try:
            self.predictor = pipelines.Video2WorldActionConditionedPipeline.from_config(
                config, dit_path=checkpoint, use_text_encoder=False
            )
        except Exception as error:  # whatever its loaders raise
            raise UserError(f"Cosmos's weights can't be loaded from {checkpoint}: {error}") from error
        self.card = Card(name=checkpoint, transform=ImageTransform(SIZE), period=PERIOD)
        self._steps = steps

    def encode(self, rgb: np.ndarray) -> torch.Tensor:
        """A picture uint8 [H, W, 3] to its pixels [1, H · W, 3], 0 to 1."""
        pixels = self.card.transform.invert(self.card.transform(np.asarray(rgb)[None]))
        return torch.from_numpy(pixels).float().flatten(1, 2) / 255

    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Pixels after each step [N, H, pixels, 3] of actions [N, H, 7], at most twelve, from a picture [pixels, 3]."""
        if actions.shape[1] > CHUNK:
            raise UserError(f"Cosmos imagines {CHUNK} steps at once; a horizon of {actions.shape[1]} was asked for.")
        frame = (z.view(SIZE, SIZE, 3) * 255).round().to(torch.uint8).numpy()
        made = []
        for plan in actions.numpy():
            told = its_actions(state.numpy(), plan)
            video = self.predictor(frame, told, guidance=GUIDANCE, num_sampling_step=self._steps)  # [1, 3, T, H, W]
            frames = video[0, :, 1 : 1 + len(plan)].float().cpu().clamp(-1, 1) / 2 + 0.5
            made.append(frames.permute(1, 2, 3, 0).flatten(1, 2))
        return torch.stack(made)


def its_actions(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Our actions [H, 7] from a state [7] as Cosmos is told them, float32 [12, 7]; after the last one the arm stays."""
    told = np.zeros((CHUNK, 7), np.float32)
    state = np.asarray(state, np.float64)
    for row in range(CHUNK):
        if row < len(actions):
            following = integrate(state, actions[row])
            turn = euler_to_matrix(state[ROTATION])
            inside = turn.T @ euler_to_matrix(difference(state, following)[ROTATION]) @ turn
            told[row, POSITION] = ACTION_GAIN * turn.T @ (following - state)[POSITION]
            told[row, ROTATION] = ACTION_GAIN * matrix_to_euler(inside)
            state = following
        told[row, GRIPPER] = state[GRIPPER]
    return told
