"""The released Octo policies (arXiv 2405.12213) as an agent.

Octo's package is on no package index and needs JAX: install it from its repository. Its actions must be changes of the
end effector's pose in the base frame and a gripper value of which 1 is open; a policy that was fine-tuned with another
convention does not fit. The weights do not state the control period they were trained with. Actions are sent unscaled,
one every 0.25 s; those of data at 5 Hz (BridgeData V2) are motions of 0.2 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vjepa_sim.agents.planning.subgoals import SubgoalClock
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.optional import load_package
from vjepa_sim.envs.pose import ACTION_DIM, GRIPPER
from vjepa_sim.envs.safety import SafetyLimits

SIZE = 256  # height and width of its images in pixels, as in its pretraining
INSTALL = "Install it from https://github.com/octo-models/octo, with JAX, or choose --agent bc."


class OctoAgent:
    """Acts with a released or fine-tuned Octo policy. Sub-goals follow :class:`.SubgoalClock`."""

    model_evaluations = 0

    def __init__(self, checkpoint: str, limits: SafetyLimits | None = None, seed: int = 0):
        """
        Args:
            checkpoint: a folder, or an address such as ``hf://rail-berkeley/octo-small-1.5``. If it was trained on
                several data sets, followed by the one whose statistics scale its actions:
                ``hf://rail-berkeley/octo-small-1.5#bridge_dataset``.
            limits: safety limits of the arm; None for the defaults.
            seed: random seed of the samples, the same in every episode.

        Raises:
            UserError: the package is missing, the weights can't be loaded, or the data set is ambiguous.
        """
        checkpoint, _, dataset = checkpoint.partition("#")
        self._jax, package = (load_package(name, "Agent 'octo'", INSTALL) for name in ("jax", "octo.model.octo_model"))
        try:
            self._policy = package.OctoModel.load_pretrained(checkpoint)
        except Exception as error:  # of any type, from JAX's storage
            raise UserError(f"Octo's weights can't be loaded from {checkpoint}: {error}") from error
        self._statistics = _statistics(self._policy.dataset_statistics, dataset)
        self._bound = np.asarray((limits or SafetyLimits()).step, np.float32)
        self._seed = seed
        self._tasks: list[Any] = []
        self.current_goal = 0

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode with the first goal."""
        self._clock = SubgoalClock(goals)
        self._tasks = [self._policy.create_tasks(goals={"image_primary": _fitted(goal.rgb)[None]}) for goal in goals]
        self.current_goal = 0
        self._key = self._jax.random.PRNGKey(self._seed)

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]: the first one of a sampled chunk."""
        if not self._tasks:
            raise UserError("Call begin(goals) before act(observation).")
        self.current_goal = self._clock.due(observation)
        self._key, key = self._jax.random.split(self._key)
        seen = {"image_primary": _fitted(observation.rgb)[None, None], "timestep_pad_mask": np.ones((1, 1), bool)}
        chunk = self._policy.sample_actions(
            seen, self._tasks[self.current_goal], unnormalization_statistics=self._statistics, rng=key
        )
        action = np.array(chunk[0, 0], np.float32)
        if action.shape != (ACTION_DIM,):
            raise UserError(f"This Octo policy's actions have shape {action.shape}; expected ({ACTION_DIM},).")
        closed = float(action[GRIPPER] < 0.5)  # its 1 is open
        action[GRIPPER] = closed - observation.state[GRIPPER]
        return np.clip(action, -self._bound, self._bound)


def _statistics(statistics: dict[str, Any], dataset: str) -> dict[str, Any]:
    """Statistics of the actions: a fine-tuned policy has one set, a released one has a set per data set."""
    if "action" in statistics:
        return statistics["action"]
    if not dataset and len(statistics) == 1:
        dataset = next(iter(statistics))
    if dataset not in statistics:
        raise UserError(
            f"This Octo policy has statistics of several data sets: {', '.join(sorted(statistics))}. Name one of them, "
            f"as in CHECKPOINT#{min(statistics)}."
        )
    return statistics[dataset]["action"]


def _fitted(rgb: np.ndarray) -> np.ndarray:
    """Center crop of an image, resized to uint8 [SIZE, SIZE, 3]."""
    from PIL import Image

    height, width, _ = rgb.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(rgb[top : top + side, left : left + side])
    return np.asarray(middle.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
