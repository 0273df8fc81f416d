"""Times of an episode's rows: by its column ``timestamp``, which in real recordings isn't always ``row / fps``."""

from __future__ import annotations

import numpy as np

from vjepa_sim.data.formats.lerobot.layout import INFO
from vjepa_sim.envs.errors import UserError

ROUNDING = 1e-4  # s, LeRobot's own tolerance
PLAUSIBLE = 10.0  # largest ratio of two rates of one recording; beyond it, one of them has another unit


def nominal_times(rows: int, fps: float) -> np.ndarray:
    """Seconds [T] since the first row, by the rate in meta/info.json."""
    return np.arange(rows) / fps


def measured_times(column: np.ndarray, fps: float) -> np.ndarray:
    """Seconds [T] since the first row, by the column ``timestamp`` [T]; ``row / fps`` where it only rounds that.

    Raises:
        UserError: It doesn't increase, or its unit can't be seconds.
    """
    stamps = column.reshape(-1).astype(np.float64)
    late = np.flatnonzero(~(np.diff(stamps) > 0))
    if len(late) or not np.all(np.isfinite(stamps)):
        row = late[0] + 1 if len(late) else 0
        raise UserError(f"timestamp doesn't increase from row to row; row {row} has {stamps[row]:.6g} s.")
    times, nominal = stamps - stamps[0], nominal_times(len(stamps), fps)
    if np.abs(times - nominal).max() <= ROUNDING + 2 * np.finfo(column.dtype).eps * np.abs(stamps).max():
        return nominal
    rate = rate_of(stamps)
    if not 1 / PLAUSIBLE < rate / fps < PLAUSIBLE:
        raise UserError(
            f"timestamp has {rate:.4g} rows per second, {INFO}'s fps is {fps:.4g}; seconds were expected. Correct the "
            "wrong one."
        )
    return times


def rate_of(times: np.ndarray) -> float:
    """Rows per second."""
    return 1 / float(np.median(np.diff(times)))
