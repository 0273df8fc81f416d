"""Plots with axes, drawn as images."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PANEL, MARGIN = 400, 50  # pixels
PAPER, INK, GRID = (255, 255, 255), (40, 40, 40), (220, 220, 220)
SHARPNESS = 2  # factor of supersampling
FONT_SIZE = 13  # pixels

Color = tuple[int, int, int]


class Sheet:
    """Panels side by side, with room for a legend above.

    Args:
        panels: number of panels.
        legend: height of the legend in pixels.
    """

    def __init__(self, panels: int, legend: int = 0):
        self._legend = legend
        self._image = Image.new("RGB", (panels * PANEL * SHARPNESS, (PANEL + legend) * SHARPNESS), PAPER)
        self.draw, self.font = ImageDraw.Draw(self._image), ImageFont.load_default(FONT_SIZE * SHARPNESS)

    def panel(self, number: int, low, high) -> Panel:
        """Make a panel.

        Args:
            number: index of the panel from the left, from 0 on.
            low, high: lower and upper ends of its axes [2], in their units.
        """
        return Panel(self, (number * PANEL, self._legend), np.array(low, float), np.array(high, float))

    def legend(self, names: list[tuple[str, Color]]) -> None:
        """Write names side by side above all panels, each in its colour."""
        x = MARGIN * SHARPNESS
        for name, color in names:
            self.draw.text((x, 8 * SHARPNESS), name, fill=color, font=self.font)
            x += self.draw.textlength(name + "    ", font=self.font)

    def done(self) -> np.ndarray:
        """The finished image, uint8 [H, W, 3]."""
        width, height = self._image.width // SHARPNESS, self._image.height // SHARPNESS
        return np.asarray(self._image.resize((width, height), Image.Resampling.LANCZOS))


class Panel:
    """Axes on a :class:`Sheet`, made by :meth:`Sheet.panel`. Points are [2], in the axes' units."""

    def __init__(self, sheet: Sheet, corner: tuple[int, int], low: np.ndarray, high: np.ndarray):
        self._draw, self._font, self._corner, self._low, self._high = sheet.draw, sheet.font, corner, low, high

    def place(self, point) -> tuple[float, float]:
        """Position of a point in pixels."""
        x, y = (np.asarray(point) - self._low) / (self._high - self._low)
        side, (left, top) = PANEL - 2 * MARGIN, self._corner
        return (left + MARGIN + x * side) * SHARPNESS, (top + PANEL - MARGIN - y * side) * SHARPNESS

    def axes(self, ticks_x, ticks_y, name_x: str, name_y: str) -> None:
        """Draw a grid with ticks, and the names of the axes."""
        for tick in ticks_x:
            self.line((tick, self._low[1]), (tick, self._high[1]), GRID)
            self._text((tick, self._low[1]), f"{tick:g}", "ma", (0, 6))
        for tick in ticks_y:
            self.line((self._low[0], tick), (self._high[0], tick), GRID)
            self._text((self._low[0], tick), f"{tick:g}", "rm", (-6, 0))
        self._text(((self._low[0] + self._high[0]) / 2, self._low[1]), name_x, "ma", (0, 24))
        self._text((self._low[0], self._high[1]), name_y, "ls", (-30, -6))

    def title(self, names: list[tuple[str, Color]]) -> None:
        """Write names side by side above the panel, each in its colour."""
        x, y = self.place(self._high)
        for name, color in reversed(names):
            self._draw.text((x, y - 10 * SHARPNESS), name, fill=color, font=self._font, anchor="rs")
            x -= self._draw.textlength(name + "  ", font=self._font)

    def names(self, names: list[tuple[str, Color]]) -> None:
        """Write names above the panel, one below the other, each in its colour."""
        x, y = self.place((self._low[0], self._high[1]))
        for number, (name, color) in enumerate(reversed(names)):
            place = (x, y - (28 + 24 * number) * SHARPNESS)
            self._draw.text(place, name, fill=color, font=self._font, anchor="ls")

    def line(self, start, end, color: Color, width: float = 1.0) -> None:
        """Draw a line between two points."""
        self._draw.line([self.place(start), self.place(end)], fill=color, width=round(width * SHARPNESS))

    def curve(self, points, color: Color) -> None:
        """Draw a line through all points."""
        for start, end in pairwise(points):
            self.line(start, end, color, 2)

    def arrow(self, end, color: Color) -> None:
        """Draw an arrow from the origin."""
        self.line((0, 0), end, color, 1.5)
        tip = np.array(self.place(end))
        back = np.array(self.place((0, 0))) - tip
        back *= 7 * SHARPNESS / max(float(np.linalg.norm(back)), 1e-9)
        for turn in (0.4, -0.4):
            cosine, sine = np.cos(turn), np.sin(turn)
            wing = tip + np.array([[cosine, -sine], [sine, cosine]]) @ back
            self._draw.line([tuple(tip), tuple(wing)], fill=color, width=round(1.5 * SHARPNESS))

    def dot(self, point, color: Color, name: str = "") -> None:
        """Draw a dot, and its name above it."""
        x, y = self.place(point)
        radius = 4 * SHARPNESS
        self._draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
        self._text(point, name, "mb", (0, -6))

    def _text(self, point, text: str, anchor: str, offset: tuple[int, int]) -> None:
        x, y = self.place(point)
        place = (x + offset[0] * SHARPNESS, y + offset[1] * SHARPNESS)
        self._draw.text(place, text, fill=INK, font=self._font, anchor=anchor)
