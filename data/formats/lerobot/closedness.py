"""Whether a gripper's numbers are closedness, 0 (open) to 1 (closed): a name alone doesn't tell widths from it."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.errors import UserError

NOISE = 0.01  # closedness below 0 or above 1, and the smallest movement that counts
WIDEST = 0.15  # m, above every gripper's width that is in use
# Ranges of other quantities, and what they look like; the first that holds all values counts.
ALIKE = (
    (-0.1, NOISE, "the place of a finger in metres, with another sign"),
    (-0.1, WIDEST, "a finger's place or a width in metres"),
    (-1.05, 1.05, "a command from -1 to 1"),
    (0.0, 105.0, "a width in millimetres, or per cent"),
    (0.0, 260.0, "the gripper's own unit, 0 to 255"),
    (0.0, 1050.0, "per mille"),
)


def check_closedness(values: np.ndarray, name: str) -> None:
    """Refuse numbers [N] of a whole data set that look like another quantity.

    Raises:
        UserError: They do; the message has their range and what they look like.
    """
    values = values[np.isfinite(values)]
    if not len(values) or np.ptp(values) <= NOISE:
        return
    low, high = float(values.min()) + 0.0, float(values.max()) + 0.0  # no -0
    if low >= -NOISE and WIDEST < high <= 1 + NOISE:
        return
    alike = next((words for least, most, words in ALIKE if least <= low and high <= most), "")
    if alike:
        raise UserError(
            f"{name} goes from {low:.4g} to {high:.4g}, which isn't closedness, 0 (open) to 1 (closed); it looks like "
            f"{alike}. Convert it in the data set."
        )
