"""Plots of deployments: paths of the end effector, and first images."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vjepa_sim.agents.comparison.motion import first_image
from vjepa_sim.agents.plotting.panel import INK, PAPER, Color, Sheet
from vjepa_sim.data.episode import Episode

LEGEND = 30  # pixels
COLORS = ((30, 110, 170), (200, 90, 30), (50, 140, 60), (130, 70, 160), (120, 120, 120))
SMALLEST_SPAN = 2.0  # minimum span of an axis, in cm or steps; an arm at rest would be noise across the panel
IMAGE, CAPTION, GAIN = 256, 22, 4  # pixels; pixels; factor of differences


def draw_trajectories(deployments: dict[str, list[Episode]]) -> np.ndarray:
    """Plot the flange's path from above, and its height over the steps, a line for each episode.

    Args:
        deployments: episodes by name of the run.

    Returns:
        Image, uint8 [H, W, 3].
    """
    states = {name: [episode.states for episode in episodes] for name, episodes in deployments.items()}
    paths = {name: [100 * each[:, [0, 1]] for each in all_] for name, all_ in states.items()}
    heights = {
        name: [np.stack([np.arange(len(each)), 100 * each[:, 2]], 1) for each in all_] for name, all_ in states.items()
    }
    sheet = Sheet(2, LEGEND)
    sheet.legend(list(zip(deployments, _colors(deployments), strict=True)))
    _draw(sheet, 0, paths, "x, cm", "y, cm", square=True)
    _draw(sheet, 1, heights, "step", "z, cm", square=False)
    return sheet.done()


def draw_first_images(deployments: dict[str, list[Episode]]) -> np.ndarray:
    """Show the first image of each deployment, and below its amplified difference from the first deployment's.

    Args:
        deployments: episodes by name of the run.

    Returns:
        Image, uint8 [H, W, 3].
    """
    images = {name: _resized(first_image(episodes[0])) for name, episodes in deployments.items()}
    first = next(iter(images.values()))
    row = IMAGE + CAPTION
    sheet = Image.new("RGB", (IMAGE * len(images), 2 * row), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, (name, image) in enumerate(images.items()):
        apart = np.abs(image.astype(np.int16) - first)
        for line, (shown, text) in enumerate(
            [(image, name), (apart * GAIN, f"difference × {GAIN}; mean {apart.mean():.2f}")]
        ):
            place = (column * IMAGE, line * row)
            draw.text((place[0] + 4, place[1] + 4), text, fill=INK, font=font)
            sheet.paste(Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8)), (place[0], place[1] + CAPTION))
    return np.asarray(sheet)


def _colors(deployments: dict) -> list[Color]:
    return [COLORS[number % len(COLORS)] for number in range(len(deployments))]


def _resized(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((IMAGE, IMAGE), Image.Resampling.BOX))


def _draw(
    sheet: Sheet, number: int, lines: dict[str, list[np.ndarray]], name_x: str, name_y: str, square: bool
) -> None:
    """Draw a panel of lines [T, 2] in the axes' units, by deployment; a dot marks the end of each."""
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
    """Three to seven round numbers."""
    rough = (high - low) / 5
    unit = 10 ** np.floor(np.log10(rough))
    step = unit * min((1, 2, 5, 10), key=lambda factor: abs(factor * unit - rough))
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0  # no -0
