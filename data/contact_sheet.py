"""A data set at a glance: a picture of pictures."""

from __future__ import annotations

import numpy as np

from vjepa_sim.data.formats.format import Reader
from vjepa_sim.envs.errors import UserError

THUMBNAIL = 160  # pixels of a thumbnail's longer side
CAPTION = 16  # pixels
MOMENTS = 3  # first, middle and last frame
GAP = 4  # pixels
BACKGROUND, TEXT, FAILED = (24, 24, 24), (230, 230, 230), (230, 120, 110)
MARKS = {True: "success", False: "failure", None: ""}


def contact_sheet(reader: Reader, view: str = "left", columns: int = 3, rows: int = 8) -> np.ndarray:
    """First, middle and last frame of evenly spaced episodes, with their numbers and whether they succeeded.

    Args:
        reader: of the data set.
        view: which camera, see :meth:`.Episode.view`.
        columns, rows: of episodes.

    Returns:
        uint8 [H, W, 3]. Episodes that can't be read are grey, and say so.

    Raises:
        UserError: there is no room for an episode.
    """
    from PIL import Image, ImageDraw

    if columns < 1 or rows < 1:
        raise UserError(f"A contact sheet of {columns} × {rows} episodes has no room; give at least 1 × 1.")
    count = min(columns * rows, len(reader))
    numbers = np.unique(np.linspace(0, len(reader) - 1, count).round().astype(int))
    columns = min(columns, len(numbers))
    cells = [_cell(reader, int(number), view) for number in numbers]
    thumbnails = [thumbnail for pictures, _ in cells for thumbnail in pictures]
    width = max((each.width for each in thumbnails), default=THUMBNAIL)
    height = max((each.height for each in thumbnails), default=THUMBNAIL)
    step_x, step_y = MOMENTS * width + GAP, height + CAPTION + GAP
    lines = -(-len(numbers) // columns)
    sheet = Image.new("RGB", (columns * step_x + GAP, lines * step_y + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (number, (pictures, mark)) in enumerate(zip(numbers, cells, strict=True)):
        x, y = GAP + place % columns * step_x, GAP + place // columns * step_y
        draw.text((x, y), f"{number}  {mark}".strip(), fill=TEXT if mark in ("", MARKS[True]) else FAILED)
        for moment, picture in enumerate(pictures):
            sheet.paste(picture, (x + moment * width, y + CAPTION))
        if not pictures:
            draw.rectangle((x, y + CAPTION, x + MOMENTS * width - 1, y + CAPTION + height - 1), fill=(70, 70, 70))
    return np.asarray(sheet)


def _cell(reader: Reader, number: int, view: str) -> tuple[list, str]:
    """Thumbnails of an episode and its mark; none if it can't be read."""
    from PIL import Image

    try:
        if reader.entries[number].error:
            raise UserError(reader.entries[number].error)
        episode = reader.read(number, (view,))
        frames = episode.view(view).frames
        pictures = [Image.fromarray(frames[row]) for row in np.linspace(0, len(frames) - 1, MOMENTS).astype(int)]
    except UserError:
        return [], "unreadable"
    for picture in pictures:
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return pictures, MARKS[episode.success]
