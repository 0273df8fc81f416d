"""The released Octo policies (arXiv 2405.12213) as an agent: their package, their weights, our conventions.

Octo's package isn't on a package index and needs JAX: install it from its repository. Its actions are changes of the
hand's pose in the base frame and a grip of which 1 is open; a policy that was fine-tuned with others doesn't fit. Its
weights don't tell how long a step of theirs lasts, and moves are sent as they come, one every 0.25 s: data of 5 steps a
second (BridgeData V2) have moves of 0.2 s.
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

SIZE = 256  # pixels that its pretraining showed
INSTALL = "Install it from https://github.com/octo-models/octo, with JAX, or take --agent bc."


class OctoAgent:
    """Asks a released or fine-tuned Octo policy for each action; goals are changed by the clock."""

    model_evaluations = 0

    def __init__(self, checkpoint: str, limits: SafetyLimits | None = None, seed: int = 0):
        """
        Args:
            checkpoint: a folder, or such as ``hf://rail-berkeley/octo-small-1.5``; where it was trained on several data
                sets, with the one whose statistics its actions are scaled by:
                ``hf://rail-berkeley/octo-small-1.5#bridge_dataset``.
            limits: the arm's step limits.
            seed: of its draws.

        Raises:
            UserError: the package is missing, the weights can't be loaded, or several data sets could be meant.
        """
        checkpoint, _, dataset = checkpoint.partition("#")
        self._jax, package = (load_package(name, "Agent 'octo'", INSTALL) for name in ("jax", "octo.model.octo_model"))
        try:
            self._policy = package.OctoModel.load_pretrained(checkpoint)
        except Exception as error:  # whatever JAX's storage raises
            raise UserError(f"Octo's weights can't be loaded from {checkpoint}: {error}") from error
        self._statistics = _statistics(self._policy.dataset_statistics, dataset)
        self._bound = np.asarray((limits or SafetyLimits()).step, np.float32)
        self._seed = seed
        self._tasks: list[Any] = []
        self.current_goal = 0

    def begin(self, goals: list[Goal]) -> None:
        """Start with the first goal."""
        self._clock = SubgoalClock(goals)
        self._tasks = [self._policy.create_tasks(goals={"image_primary": _fitted(goal.rgb)[None]}) for goal in goals]
        self.current_goal = 0
        self._key = self._jax.random.PRNGKey(self._seed)

    def act(self, observation: Observation) -> np.ndarray:
        """The first action of a chunk, float32 [7]."""
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


def _statistics(told: dict[str, Any], dataset: str) -> dict[str, Any]:
    """Of the actions: a fine-tuned policy has its own, a released one those of every data set it was trained on."""
    if "action" in told:
        return told["action"]
    if not dataset and len(told) == 1:
        dataset = next(iter(told))
    if dataset not in told:
        raise UserError(
            f"This Octo policy knows several data sets; add whose actions are meant to its name, as in "
            f"CHECKPOINT#{min(told)}: {', '.join(sorted(told))}."
        )
    return told[dataset]["action"]


def _fitted(rgb: np.ndarray) -> np.ndarray:
    """The middle of a picture, uint8 [256, 256, 3]."""
    from PIL import Image

    height, width, _ = rgb.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(rgb[top : top + side, left : left + side])
    return np.asarray(middle.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
