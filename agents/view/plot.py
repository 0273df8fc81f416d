"""Pictures of calibrated views: moves as arrows, and a sweep as curves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agents.view.calibration import ViewCalibration
from agents.view.moves import Moves
from agents.view.simulated import SweepRow

PANEL, MARGIN = 400, 50  # pixels
PAPER, INK, GRID = (255, 255, 255), (40, 40, 40), (220, 220, 220)
TRUE, INFERRED, ROTATED = (120, 120, 120), (200, 90, 30), (30, 110, 170)
SHARPNESS = 2  # drawn larger by this, and reduced


class _Panel:
    """A square with axes, drawn in its own units."""

    def __init__(self, draw: ImageDraw.ImageDraw, left: int, low: tuple[float, float], high: tuple[float, float]):
        self._draw, self._left, self._low, self._high = draw, left, np.array(low), np.array(high)
        self.font = ImageFont.load_default(13 * SHARPNESS)

    def place(self, point) -> tuple[float, float]:
        x, y = (np.asarray(point) - self._low) / (self._high - self._low)
        side = PANEL - 2 * MARGIN
        return (self._left + MARGIN + x * side) * SHARPNESS, (PANEL - MARGIN - y * side) * SHARPNESS

    def line(self, start, end, color, width: float = 1.0) -> None:
        self._draw.line([self.place(start), self.place(end)], fill=color, width=round(width * SHARPNESS))

    def arrow(self, end, color) -> None:
        self.line((0, 0), end, color, 1.5)
        tip = np.array(self.place(end))
        back = np.array(self.place((0, 0))) - tip
        back *= 7 * SHARPNESS / max(float(np.linalg.norm(back)), 1e-9)
        for turn in (0.4, -0.4):
            cosine, sine = np.cos(turn), np.sin(turn)
            wing = tip + np.array([[cosine, -sine], [sine, cosine]]) @ back
            self._draw.line([tuple(tip), tuple(wing)], fill=color, width=round(1.5 * SHARPNESS))

    def dot(self, point, color) -> None:
        x, y = self.place(point)
        self._draw.ellipse([x - 4 * SHARPNESS, y - 4 * SHARPNESS, x + 4 * SHARPNESS, y + 4 * SHARPNESS], fill=color)

    def axes(self, ticks_x, ticks_y, name_x: str, name_y: str) -> None:
        for tick in ticks_x:
            self.line((tick, self._low[1]), (tick, self._high[1]), GRID)
            self._text((tick, self._low[1]), f"{tick:g}", "ma", (0, 6))
        for tick in ticks_y:
            self.line((self._low[0], tick), (self._high[0], tick), GRID)
            self._text((self._low[0], tick), f"{tick:g}", "rm", (-6, 0))
        self._text(((self._low[0] + self._high[0]) / 2, self._low[1]), name_x, "ma", (0, 24))
        self._text((self._low[0], self._high[1]), name_y, "ls", (-30, -6))

    def title(self, lines: list[tuple[str, tuple[int, int, int]]]) -> None:
        """Words side by side above the panel, each in its colour."""
        x, y = self.place(self._high)
        for text, color in reversed(lines):
            self._draw.text((x, y - 10 * SHARPNESS), text, fill=color, font=self.font, anchor="rs")
            x -= self._draw.textlength(text + "  ", font=self.font)

    def _text(self, point, text: str, anchor: str, offset: tuple[int, int]) -> None:
        x, y = self.place(point)
        place = (x + offset[0] * SHARPNESS, y + offset[1] * SHARPNESS)
        self._draw.text(place, text, fill=INK, font=self.font, anchor=anchor)


def draw_moves(moves: Moves, view: ViewCalibration) -> np.ndarray:
    """All moves as arrows from one point: true beside inferred, as they are and less the offset and rotated; uint8 [H, W, 3]."""
    image, draw = _blank(2)
    reach = 100 * 1.1 * max(np.abs(moves.true).max(), np.abs(moves.inferred).max(), 1e-3)
    ticks = [tick for tick in range(-20, 21, 2) if abs(tick) <= reach]
    panels = (
        ("inferred", moves.inferred, INFERRED),
        ("rotated", (moves.inferred - view.offset) @ view.rotation.T, ROTATED),
    )
    for number, (name, shown, color) in enumerate(panels):
        panel = _Panel(draw, number * PANEL, (-reach, -reach), (reach, reach))
        panel.axes(ticks, ticks, "x, cm", "y, cm")
        for end, true in zip(100 * shown, 100 * moves.true, strict=True):
            panel.line(end, true, GRID, 1.0)
        for end, true in zip(100 * shown, 100 * moves.true, strict=True):
            panel.arrow(true, TRUE)
            panel.arrow(end, color)
        turn = f" by {view.angle:+.1f}°" if name == "rotated" else ""
        panel.title([("true", TRUE), (name + turn, color)])
    return _done(image)


def draw_sweep(rows: list[SweepRow]) -> np.ndarray:
    """The rotation found and the errors against the camera's azimuth; uint8 [H, W, 3]."""
    image, draw = _blank(2)
    found = [(row, row.view) for row in rows if row.view is not None]
    azimuths = [row.azimuth for row in rows]
    low, high = min(azimuths) - 3, max(azimuths) + 3
    turns = [row.camera_turn for row in rows] + [view.angle for _, view in found]
    angles = _Panel(draw, 0, (low, np.floor(min(turns) / 10) * 10), (high, np.ceil(max(turns) / 10) * 10))
    angles.axes(
        azimuths, np.arange(np.floor(min(turns) / 10) * 10, max(turns) + 10, 10), "camera at, degrees", "degrees"
    )
    _curve(angles, [(row.azimuth, row.camera_turn) for row in rows], TRUE)
    _curve(angles, [(row.azimuth, view.angle) for row, view in found], ROTATED)
    angles.title([("camera's turn", TRUE), ("rotation found", ROTATED)])
    top = np.ceil(max([1.0, *(max(view.error_before, view.error_rotated) for _, view in found)]))
    errors = _Panel(draw, PANEL, (low, 0), (high, top))
    errors.axes(azimuths, np.arange(0, top + 1), "camera at, degrees", "cm")
    _curve(errors, [(row.azimuth, view.error_before) for row, view in found], INFERRED)
    _curve(errors, [(row.azimuth, view.error_shifted) for row, view in found], TRUE)
    _curve(errors, [(row.azimuth, view.error_rotated) for row, view in found], ROTATED)
    errors.title([("error before", INFERRED), ("less the offset", TRUE), ("and rotated", ROTATED)])
    return _done(image)


def _curve(panel: _Panel, points: list[tuple[float, float]], color: tuple[int, int, int]) -> None:
    for start, end in pairwise(points):
        panel.line(start, end, color, 2)
    for point in points:
        panel.dot(point, color)


def _blank(panels: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (panels * PANEL * SHARPNESS, PANEL * SHARPNESS), PAPER)
    return image, ImageDraw.Draw(image)


def _done(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((image.width // SHARPNESS, image.height // SHARPNESS), Image.Resampling.LANCZOS))
