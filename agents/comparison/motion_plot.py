"""Rungs side by side: the hands' ways, and the first pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vjepa_sim.agents.comparison.motion import first_picture
from vjepa_sim.agents.plotting.panel import INK, PAPER, Color, Sheet
from vjepa_sim.data.episode import Episode

LEGEND = 30  # pixels
COLORS = ((30, 110, 170), (200, 90, 30), (50, 140, 60), (130, 70, 160), (120, 120, 120))
SMALLEST_SPAN = 2.0  # of an axis, in cm or steps, so that an arm at rest isn't noise that fills the panel
PICTURE, CAPTION, AMPLIFIED = 256, 22, 4  # pixels, pixels, times


def draw_trajectories(rungs: dict[str, list[Episode]]) -> np.ndarray:
    """The hand seen from above, and its height over the steps; every episode is a line; uint8 [H, W, 3]."""
    states = {name: [episode.states for episode in episodes] for name, episodes in rungs.items()}
    ways = {name: [100 * each[:, [0, 1]] for each in all_] for name, all_ in states.items()}
    heights = {
        name: [np.stack([np.arange(len(each)), 100 * each[:, 2]], 1) for each in all_] for name, all_ in states.items()
    }
    sheet = Sheet(2, LEGEND)
    sheet.legend(list(zip(rungs, _colors(rungs), strict=True)))
    _draw(sheet, 0, ways, "x, cm", "y, cm", square=True)
    _draw(sheet, 1, heights, "step", "z, cm", square=False)
    return sheet.done()


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


def _colors(rungs: dict) -> list[Color]:
    return [COLORS[number % len(COLORS)] for number in range(len(rungs))]


def _resized(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((PICTURE, PICTURE), Image.Resampling.BOX))


def _draw(
    sheet: Sheet, number: int, lines: dict[str, list[np.ndarray]], name_x: str, name_y: str, square: bool
) -> None:
    """One panel: ``lines`` are [T, 2] in the axes' units, by rung; a dot marks where each ends."""
    points = np.concatenate([line for each in lines.values() for line in each])
    low, high = points.min(0), points.max(0)
    span = np.maximum(high - low, SMALLEST_SPAN) * 1.1
    span = np.full(2, span.max()) if square else span
    low = (low + high) / 2 - span / 2
    high = low + span
    panel = sheet.panel(number, low, high)
    panel.axes(_ticks(low[0], high[0]), _ticks(low[1], high[1]), name_x, name_y)
    for color, each in zip(_colors(lines), lines.values(), strict=True):
        for line in each:
            panel.curve(line, color)
            panel.dot(line[-1], color)


def _ticks(low: float, high: float) -> np.ndarray:
    """Round numbers, three to seven of them."""
    rough = (high - low) / 5
    unit = 10 ** np.floor(np.log10(rough))
    step = unit * min((1, 2, 5, 10), key=lambda factor: abs(factor * unit - rough))
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0  # no -0
