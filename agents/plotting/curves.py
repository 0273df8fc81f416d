"""Curves of a training run: losses, probe errors, success rates of the planner."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from vjepa_sim.agents.plotting.panel import Color, Sheet
from vjepa_sim.envs.errors import UserError

METRICS_FILE = "metrics.jsonl"
COLORS: tuple[Color, ...] = (
    (30, 110, 170),
    (200, 90, 30),
    (40, 140, 70),
    (150, 60, 150),
    (120, 120, 120),
    (180, 150, 20),
    (60, 60, 60),
    (200, 60, 90),
    (0, 150, 160),
    (140, 95, 60),
    (225, 130, 175),
    (110, 180, 60),
)
PAUSE = 600.0  # s; a longer interval between two lines is a pause of the run
SMOOTHED = 5  # lines in the moving average of a loss

Curve = list[tuple[int, float]]


def read_metrics(run: Path) -> tuple[dict[str, Curve], float]:
    """Read the scalars of a training run.

    Args:
        run: folder of the run.

    Returns:
        Pairs of (step, value) by name, and the duration of the run in seconds.

    Raises:
        UserError: the folder holds no training run, or its file is damaged.
    """
    path = run / METRICS_FILE
    if not path.is_file():
        raise UserError(
            f"{run} holds no {METRICS_FILE}; expected the folder of `vjepa-sim pretrain`, `train` or `baseline`."
        )
    curves: dict[str, Curve] = defaultdict(list)
    times = []
    try:
        for line in path.read_text().splitlines():
            scalars = json.loads(line)
            step, time = int(scalars.pop("step")), scalars.pop("time", None)
            times += [] if time is None else [float(time)]
            for name, value in scalars.items():
                if not math.isfinite(float(value)):  # a loss that diverged has no place in a plot
                    continue
                curves[name].append((step, float(value)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r}).") from error
    waits = np.diff(times)
    return dict(curves), float(waits[waits < PAUSE].sum())


def draw_curves(curves: dict[str, Curve]) -> np.ndarray:
    """Plot scalars, a panel for each group (the part of their names before the slash).

    Args:
        curves: pairs of (step, value) by name.

    Returns:
        Image, uint8 [H, W, 3].

    Raises:
        UserError: no scalar has two values.
    """
    groups: dict[str, dict[str, Curve]] = defaultdict(dict)
    for name, curve in curves.items():
        group, _, rest = name.rpartition("/")
        if rest != "learning_rate" and len(curve) > 1:
            groups[group][rest] = _smoothed(curve) if len(curve) > 10 * SMOOTHED else curve
    if not groups:
        raise UserError("The run has logged fewer than two steps, so there is no curve to draw.")
    sheet = Sheet(len(groups), legend=24 * max(len(group) for group in groups.values()))
    for number, (group, named) in enumerate(groups.items()):
        last = max(step for curve in named.values() for step, _ in curve)
        shown = [value for curve in named.values() for _, value in curve[len(curve) // 20 :]]
        low, top = min(0.0, *shown), max(0.0, *shown)
        low, top = 1.05 * low, 1.05 * (top if top > low else 1e-9)
        panel = sheet.panel(number, (0, low), (last, top))
        panel.axes(_ticks(0, last), _ticks(low, top), "step", group)
        colored = list(zip(named.items(), itertools.cycle(COLORS), strict=False))
        for (_, curve), color in colored:
            panel.curve([(step, min(max(value, low), top)) for step, value in curve], color)
        newest = {name: curves[f"{group}/{name}".lstrip("/")][-1][1] for name in named}  # not smoothed
        panel.names([(f"{name} {newest[name]:.3g}", color) for (name, _), color in colored])
    return sheet.done()


def _smoothed(curve: Curve) -> Curve:
    steps, values = np.array(curve).T
    kernel = np.ones(SMOOTHED) / SMOOTHED
    middle = slice(SMOOTHED // 2, -(SMOOTHED // 2))
    return list(zip(steps[middle].astype(int).tolist(), np.convolve(values, kernel, "valid").tolist(), strict=True))


def _ticks(start: float, end: float) -> list[float]:
    """About five round numbers from ``start`` to ``end``."""
    size = max(end - start, 1e-9)
    step = 10.0 ** np.floor(np.log10(size / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if size / (step * factor) <= 5)
    return [float(tick) for tick in np.arange(np.ceil(start / step) * step, end + 1e-9 * size, step)]
