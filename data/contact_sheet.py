"""Contact sheet: thumbnails of a data set's episodes in one image."""

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
    """First, middle and last frame of evenly spaced episodes, with their numbers and success.

    Args:
        reader: Reader of the data set.
        view: Camera, see :meth:`.Episode.view`.
        columns, rows: Size of the sheet in episodes.

    Returns:
        Image uint8 [H, W, 3]. Unreadable episodes are grey, with that word.

    Raises:
        UserError: ``columns`` or ``rows`` is less than 1.
    """
    from PIL import Image, ImageDraw

    if columns < 1 or rows < 1:
        raise UserError(f"A contact sheet of {columns} × {rows} episodes is empty; give at least 1 × 1.")
    count = min(columns * rows, len(reader))
    numbers = np.unique(np.linspace(0, len(reader) - 1, count).round().astype(int))
    columns = min(columns, len(numbers))
    strips = [_strip(reader, int(number), view) for number in numbers]
    thumbnails = [thumbnail for images, _ in strips for thumbnail in images]
    width = max((each.width for each in thumbnails), default=THUMBNAIL)
    height = max((each.height for each in thumbnails), default=THUMBNAIL)
    step_x, step_y = MOMENTS * width + GAP, height + CAPTION + GAP
    lines = -(-len(numbers) // columns)
    sheet = Image.new("RGB", (columns * step_x + GAP, lines * step_y + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (number, (images, mark)) in enumerate(zip(numbers, strips, strict=True)):
        x, y = GAP + place % columns * step_x, GAP + place // columns * step_y
        draw.text((x, y), f"{number}  {mark}".strip(), fill=TEXT if mark in ("", MARKS[True]) else FAILED)
        for moment, image in enumerate(images):
            sheet.paste(image, (x + moment * width, y + CAPTION))
        if not images:
            draw.rectangle((x, y + CAPTION, x + MOMENTS * width - 1, y + CAPTION + height - 1), fill=(70, 70, 70))
    return np.asarray(sheet)


def _strip(reader: Reader, number: int, view: str) -> tuple[list, str]:
    """Thumbnails of an episode and its mark; no thumbnails if it is unreadable."""
    from PIL import Image

    try:
        if reader.entries[number].error:
            raise UserError(reader.entries[number].error)
        episode = reader.read(number, (view,))
        frames = episode.view(view).frames
        images = [Image.fromarray(frames[row]) for row in np.linspace(0, len(frames) - 1, MOMENTS).astype(int)]
    except UserError:
        return [], "unreadable"
    for image in images:
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return images, MARKS[episode.success]
