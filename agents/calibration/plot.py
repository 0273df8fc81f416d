"""Plots of calibrations: motions as arrows, and a sweep as curves."""

from __future__ import annotations

import numpy as np

from vjepa_sim.agents.calibration.calibration import ViewCalibration
from vjepa_sim.agents.calibration.moves import Moves
from vjepa_sim.agents.calibration.simulated import SweepRow
from vjepa_sim.agents.plotting.panel import GRID, Color, Panel, Sheet

TRUE, INFERRED, ROTATED = (120, 120, 120), (200, 90, 30), (30, 110, 170)


def draw_moves(moves: Moves, view: ViewCalibration) -> np.ndarray:
    """Plot all motions as arrows from one point: true and inferred ones, before and after the calibration.

    Returns:
        Image, uint8 [H, W, 3].
    """
    sheet = Sheet(2)
    reach = 100 * 1.1 * max(np.abs(moves.true).max(), np.abs(moves.inferred).max(), 1e-3)
    ticks = [tick for tick in range(-20, 21, 2) if abs(tick) <= reach]
    panels = (
        ("inferred", moves.inferred, INFERRED),
        ("rotated", (moves.inferred - view.offset) @ view.rotation.T, ROTATED),
    )
    for number, (name, shown, color) in enumerate(panels):
        panel = sheet.panel(number, (-reach, -reach), (reach, reach))
        panel.axes(ticks, ticks, "x, cm", "y, cm")
        for end, true in zip(100 * shown, 100 * moves.true, strict=True):
            panel.line(end, true, GRID)
        for end, true in zip(100 * shown, 100 * moves.true, strict=True):
            panel.arrow(true, TRUE)
            panel.arrow(end, color)
        turn = f" by {view.angle:+.1f}°" if name == "rotated" else ""
        panel.title([("true", TRUE), (name + turn, color)])
    return sheet.done()


def draw_sweep(rows: list[SweepRow]) -> np.ndarray:
    """Plot the rotation and the errors over the camera's azimuth.

    Returns:
        Image, uint8 [H, W, 3].
    """
    sheet = Sheet(2)
    found = [(row, row.view) for row in rows if row.view is not None]
    azimuths = [row.azimuth for row in rows]
    low, high = min(azimuths) - 3, max(azimuths) + 3
    turns = [row.camera_turn for row in rows] + [view.angle for _, view in found]
    angles = sheet.panel(0, (low, np.floor(min(turns) / 10) * 10), (high, np.ceil(max(turns) / 10) * 10))
    angles.axes(azimuths, np.arange(np.floor(min(turns) / 10) * 10, max(turns) + 10, 10), "azimuth, degrees", "degrees")
    _curve(angles, [(row.azimuth, row.camera_turn) for row in rows], TRUE)
    _curve(angles, [(row.azimuth, view.angle) for row, view in found], ROTATED)
    angles.title([("camera's azimuth less the nominal", TRUE), ("rotation", ROTATED)])
    top = np.ceil(max([1.0, *(max(view.error_before, view.error_rotated) for _, view in found)]))
    errors = sheet.panel(1, (low, 0), (high, top))
    errors.axes(azimuths, np.arange(0, top + 1), "azimuth, degrees", "cm")
    _curve(errors, [(row.azimuth, view.error_before) for row, view in found], INFERRED)
    _curve(errors, [(row.azimuth, view.error_shifted) for row, view in found], TRUE)
    _curve(errors, [(row.azimuth, view.error_rotated) for row, view in found], ROTATED)
    errors.title([("error before", INFERRED), ("less the offset", TRUE), ("and rotated", ROTATED)])
    return sheet.done()


def _curve(panel: Panel, points: list[tuple[float, float]], color: Color) -> None:
    panel.curve(points, color)
    for point in points:
        panel.dot(point, color)
