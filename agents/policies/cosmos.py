"""NVIDIA's action-conditioned Cosmos-Predict2 as a world model; its latents are images.

The package is on no package index, and the model with its two billion parameters needs a GPU. It generates 12 frames at
4 Hz from one frame and 12 actions: changes of pose in the end effector's frame, times 20, and the closedness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vjepa_sim.card import Card
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.optional import load_package
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION, difference, euler_to_matrix, integrate, matrix_to_euler
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.protocols import LatentDynamics
from vjepa_sim.transform import ImageTransform

CHUNK = 12  # actions per generated video
ACTION_GAIN = 20.0
GUIDANCE = 0.0  # no classifier-free guidance: there is no text
SIZE = 256  # height and width of its images in pixels
PERIOD = 0.25  # s
INSTALL = (
    "Install it from https://github.com/nvidia-cosmos/cosmos-predict2 on a machine with a GPU, or train the "
    "small video model of this project: vjepa-sim baseline video."
)


class CosmosWorld(LatentDynamics):
    """The Cosmos pipeline as a world model without decoders and without a goal policy: energies are distances of
    images.

    Attributes:
        card: image size and period that it expects.
        predictor: pipeline of the package, on its own device.
    """

    card: Card
    goal_policy: GoalPolicy | None = None
    imagines: bool = True

    def __init__(self, checkpoint: str, steps: int = 35):
        """
        Args:
            checkpoint: file of the diffusion transformer.
            steps: sampling steps.

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

    @property
    def device(self) -> torch.device:
        """Device of the latents, which are images: the CPU."""
        return torch.device("cpu")

    def to(self, device: Any) -> CosmosWorld:
        """Return the model as it is: the package chooses its device."""
        return self

    def encode(self, rgb: np.ndarray) -> torch.Tensor:
        """An image uint8 [H, W, 3] to its pixels [1, SIZE · SIZE, 3], 0 to 1."""
        pixels = self.card.transform.invert(self.card.transform(np.asarray(rgb)[None]))
        return torch.from_numpy(pixels).float().flatten(1, 2) / 255

    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Generate the images after each of at most :data:`CHUNK` actions.

        Args:
            z: pixels of the current image [pixels, 3], 0 to 1.
            state: the arm's state [7].
            actions: [N, H, 7], metres, radians, closedness, base frame.

        Returns:
            Pixels [N, H, pixels, 3].

        Raises:
            UserError: the horizon H is too long.
        """
        if actions.shape[1] > CHUNK:
            raise UserError(f"Cosmos predicts {CHUNK} steps; a horizon of {actions.shape[1]} was given.")
        frame = (z.view(SIZE, SIZE, 3) * 255).round().to(torch.uint8).numpy()
        predicted = []
        for plan in actions.numpy():
            given = cosmos_actions(state.numpy(), plan)
            video = self.predictor(frame, given, guidance=GUIDANCE, num_sampling_step=self._steps)  # [1, 3, T, H, W]
            frames = video[0, :, 1 : 1 + len(plan)].float().cpu().clamp(-1, 1) / 2 + 0.5
            predicted.append(frames.permute(1, 2, 3, 0).flatten(1, 2))
        return torch.stack(predicted)


def cosmos_actions(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Convert actions to the convention of Cosmos.

    Args:
        state: the arm's state [7].
        actions: [H, 7], H at most :data:`CHUNK`, see :mod:`vjepa_sim.envs.pose`.

    Returns:
        float32 [CHUNK, 7]; the arm rests after the last action.
    """
    converted = np.zeros((CHUNK, 7), np.float32)
    state = np.asarray(state, np.float64)
    for row in range(CHUNK):
        if row < len(actions):
            following = integrate(state, actions[row])
            turn = euler_to_matrix(state[ROTATION])
            inside = turn.T @ euler_to_matrix(difference(state, following)[ROTATION]) @ turn
            converted[row, POSITION] = ACTION_GAIN * turn.T @ (following - state)[POSITION]
            converted[row, ROTATION] = ACTION_GAIN * matrix_to_euler(inside)
            state = following
        converted[row, GRIPPER] = state[GRIPPER]
    return converted
