"""LeRobot's statistics of features, for each episode and for the whole set."""

from __future__ import annotations

import numpy as np

Statistics = dict[str, np.ndarray]

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)


def describe(values: np.ndarray) -> Statistics:
    """Statistics over the rows of an array [T, …]; rows with a number that isn't finite are left out."""
    values = values.reshape(len(values), -1) if values.ndim == 1 else values
    values = values.astype(np.float64)
    values = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    count = len(values)
    values = values if count else np.zeros((1, *values.shape[1:]))
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    return {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([count]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


class ImageCounter:
    """Statistics of images, for each channel over all pixels, in 0 to 1, from counts of the 256 shades.

    At most ``IMAGES`` images of an episode are counted, and every n-th pixel of large ones.
    """

    IMAGES = 32
    SIDE = 128  # pixels counted along the shorter side

    def __init__(self, rows: int):
        self._wanted = np.unique(np.linspace(0, rows - 1, min(rows, self.IMAGES)).astype(int))
        self._shades = np.zeros((3, 256), np.int64)

    def add(self, first: int, frames: np.ndarray) -> None:
        """Count frames uint8 [N, H, W, 3], the episode's rows from ``first`` on."""
        wanted = self._wanted[(self._wanted >= first) & (self._wanted < first + len(frames))]
        step = max(1, min(frames.shape[1:3]) // self.SIDE)
        images = frames[wanted - first][:, ::step, ::step]
        for channel in range(3):
            self._shades[channel] += np.bincount(images[..., channel].ravel(), minlength=256)

    def describe(self) -> Statistics:
        """Statistics of the images counted; shapes [3, 1, 1]."""
        shades = np.arange(256) / 255
        share = self._shades / self._shades.sum(axis=1, keepdims=True)
        cumulated = np.cumsum(self._shades, axis=1)
        mean = share @ shades

        def quantile(part: float) -> np.ndarray:
            return np.array([shades[np.searchsorted(row, part * row[-1])] for row in cumulated])

        found = {
            "min": shades[(self._shades > 0).argmax(axis=1)],
            "max": shades[255 - (self._shades[:, ::-1] > 0).argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt((share * (shades - mean[:, None]) ** 2).sum(axis=1)),
            **{name: quantile(part) for name, part in QUANTILES.items()},
        }
        return {name: each.reshape(3, 1, 1) for name, each in found.items()} | {"count": np.array([len(self._wanted)])}


def merge(one: Statistics, other: Statistics) -> Statistics:
    """Statistics of two sets of rows together; quantiles are averaged, as in LeRobot."""
    n, m = int(one["count"][0]), int(other["count"][0])
    if not n or not m:
        return one if n else other
    share, rest = n / (n + m), m / (n + m)
    mean = share * one["mean"] + rest * other["mean"]
    variance = share * (one["std"] ** 2 + (one["mean"] - mean) ** 2) + rest * (
        other["std"] ** 2 + (other["mean"] - mean) ** 2
    )
    return {
        "min": np.minimum(one["min"], other["min"]),
        "max": np.maximum(one["max"], other["max"]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([n + m]),
        **{name: share * one[name] + rest * other[name] for name in QUANTILES},
    }
