"""Rungs side by side: the hands' ways, and the first pictures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agents.rung import first_picture
from data.episode import Episode

PANEL, MARGIN, LEGEND, SHARPNESS = 420, 56, 30, 2  # pixels; drawn larger by the last, and reduced
PAPER, INK, GRID = (255, 255, 255), (40, 40, 40), (222, 222, 222)
COLORS = ((30, 110, 170), (200, 90, 30), (50, 140, 60), (130, 70, 160), (120, 120, 120))
SMALLEST_SPAN = 0.02  # of an axis, so that an arm at rest isn't noise that fills the panel
PICTURE, CAPTION, AMPLIFIED = 256, 22, 4  # pixels, pixels, times


def draw_trajectories(rungs: dict[str, list[Episode]]) -> np.ndarray:
    """The hand seen from above, and its height over the steps; every episode is a line; uint8 [H, W, 3]."""
    states = {name: [episode.states for episode in episodes] for name, episodes in rungs.items()}
    ways = {name: [100 * each[:, [0, 1]] for each in all_] for name, all_ in states.items()}
    heights = {
        name: [np.stack([np.arange(len(each)), 100 * each[:, 2]], 1) for each in all_] for name, all_ in states.items()
    }
    size = (2 * PANEL * SHARPNESS, (PANEL + LEGEND) * SHARPNESS)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13 * SHARPNESS)
    x = MARGIN * SHARPNESS
    for color, name in zip(_colors(rungs), rungs, strict=True):
        draw.text((x, 8 * SHARPNESS), name, fill=color, font=font)
        x += draw.textlength(name + "    ", font=font)
    _panel(draw, font, 0, ways, "x, cm", "y, cm", square=True)
    _panel(draw, font, PANEL, heights, "step", "z, cm", square=False)
    return np.asarray(image.resize((size[0] // SHARPNESS, size[1] // SHARPNESS), Image.Resampling.LANCZOS))


def draw_first_pictures(rungs: dict[str, list[Episode]]) -> np.ndarray:
    """The first picture of each rung, and below how it differs from the first rung's, amplified; uint8 [H, W, 3]."""
    pictures = {name: _resized(first_picture(episodes[0])) for name, episodes in rungs.items()}
    first = next(iter(pictures.values()))
    row = PICTURE + CAPTION
    sheet = Image.new("RGB", (PICTURE * len(pictures), 2 * row), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, (name, picture) in enumerate(pictures.items()):
        apart = np.abs(picture.astype(np.int16) - first)
        for line, (shown, text) in enumerate(
            [(picture, name), (apart * AMPLIFIED, f"difference, {AMPLIFIED} times; mean {apart.mean():.2f}")]
        ):
            place = (column * PICTURE, line * row)
            draw.text((place[0] + 4, place[1] + 4), text, fill=INK, font=font)
            sheet.paste(Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8)), (place[0], place[1] + CAPTION))
    return np.asarray(sheet)


def _colors(rungs: dict) -> list[tuple[int, int, int]]:
    return [COLORS[number % len(COLORS)] for number in range(len(rungs))]


def _resized(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((PICTURE, PICTURE), Image.Resampling.BOX))


def _panel(draw, font, left: int, lines: dict[str, list[np.ndarray]], name_x: str, name_y: str, square: bool) -> None:
    """One set of axes: ``lines`` are [T, 2] in the axes' units, by rung; a dot marks where each ends."""
    points = np.concatenate([line for each in lines.values() for line in each])
    low, high = points.min(0), points.max(0)
    span = np.maximum(high - low, 100 * SMALLEST_SPAN) * 1.1
    span = np.full(2, span.max()) if square else span
    low = (low + high) / 2 - span / 2
    side = PANEL - 2 * MARGIN

    def place(point: np.ndarray) -> tuple[float, float]:
        x, y = (point - low) / span
        return (left + MARGIN + x * side) * SHARPNESS, (LEGEND + PANEL - MARGIN - y * side) * SHARPNESS

    for axis in (0, 1):
        for tick in _ticks(low[axis], low[axis] + span[axis]):
            ends = np.array([low, low + span])
            ends[:, axis] = tick
            draw.line([place(ends[0]), place(ends[1])], fill=GRID, width=SHARPNESS)
            x, y = place(ends[0])
            offset, anchor = ((0, 6), "ma") if axis == 0 else ((-6, 0), "rm")
            where = (x + offset[0] * SHARPNESS, y + offset[1] * SHARPNESS)
            draw.text(where, f"{tick:g}", fill=INK, font=font, anchor=anchor)
    x, y = place(low + [span[0] / 2, 0])
    draw.text((x, y + 26 * SHARPNESS), name_x, fill=INK, font=font, anchor="ma")
    x, y = place(low + [0, span[1]])
    draw.text((x - 30 * SHARPNESS, y - 8 * SHARPNESS), name_y, fill=INK, font=font, anchor="ls")
    for color, each in zip(_colors(lines), lines.values(), strict=True):
        for line in each:
            for start, end in pairwise(line):
                draw.line([place(start), place(end)], fill=color, width=2 * SHARPNESS)
            x, y = place(line[-1])
            radius = 4 * SHARPNESS
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)


def _ticks(low: float, high: float) -> np.ndarray:
    """Round numbers, three to seven of them."""
    rough = (high - low) / 5
    unit = 10 ** np.floor(np.log10(rough))
    step = unit * min((1, 2, 5, 10), key=lambda factor: abs(factor * unit - rough))
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0  # no -0
