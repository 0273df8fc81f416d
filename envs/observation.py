"""What an agent is given: observations and goals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import NotFinite
from vjepa_sim.envs.pose import ACTION_DIM


@dataclass(frozen=True)
class Observation:
    """One observation.

    Attributes:
        rgb: image, uint8 [H, W, 3].
        state: measured state, float32 [7], see :mod:`vjepa_sim.envs.pose`.
        stamp: time in seconds, monotonic.
    """

    rgb: np.ndarray
    state: np.ndarray
    stamp: float

    def copy(self) -> Observation:
        """The same observation with arrays of its own."""
        return replace(self, rgb=self.rgb.copy(), state=self.state.copy())


@dataclass(frozen=True)
class Goal:
    """A goal or sub-goal image, and the number of steps that an agent has for it.

    Attributes:
        rgb: goal image, uint8 [H, W, 3].
        steps: control steps after which the next sub-goal follows at the latest (in the paper, always).
        state: float32 [7], the arm's own state when the image was captured, or None if it wasn't recorded.
        name: label of the goal for tables and videos.
    """

    rgb: np.ndarray
    steps: int
    state: np.ndarray | None = None
    name: str = "goal"

    def copy(self) -> Goal:
        """The same goal with arrays of its own."""
        return replace(self, rgb=self.rgb.copy(), state=None if self.state is None else self.state.copy())

    def image_alone(self) -> Goal:
        """The same goal without the arm's state, for agents that are given the image only."""
        return replace(self, state=None)


def check_image(image: object, height: int, width: int, what: str = "image") -> np.ndarray:
    """Return ``image`` if it is uint8 [height, width, 3], else raise :class:`.UserError`."""
    try:
        array = np.asarray(image)
    except ValueError:  # rows of different lengths
        raise UserError(f"The {what} is not an array; expected uint8 of shape ({height}, {width}, 3).") from None
    if array.dtype != np.uint8 or array.shape != (height, width, 3):
        raise UserError(
            f"The {what} has shape {array.shape} and type {array.dtype}; expected uint8 of shape "
            f"({height}, {width}, 3). Resize it, or make the environment with a matching `size=`."
        )
    return array


def check_steps(steps: object) -> None:
    """Raise :class:`.UserError` if the steps of a goal are not a whole number of 1 or more."""
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool) or steps < 1:
        raise UserError(f"A goal of {steps!r} steps: expected a whole number of 1 or more.")


def check_action(action: object) -> np.ndarray:
    """Return ``action`` as float64 [7] if it has that shape and is finite.

    Raises:
        UserError: it does not have shape (7,).
        NotFinite: it is not finite.
    """
    try:
        array = np.asarray(action, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"An action must be {ACTION_DIM} numbers; {type(action).__name__} was given.") from None
    if array.shape != (ACTION_DIM,):
        raise UserError(
            f"An action must have shape ({ACTION_DIM},): [Δx, Δy, Δz, Δroll, Δpitch, Δyaw, Δclosedness]; "
            f"an array of shape {array.shape} was given."
        )
    if not np.all(np.isfinite(array)):
        raise NotFinite(f"An action must be finite; {array.tolist()} was given.")
    return array
