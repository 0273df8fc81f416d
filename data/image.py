"""Image files: bounded in size, upright by their EXIF orientation, 16 bits reduced to 8 without clipping."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.frames import MAX_PIXELS
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

# Errors that Pillow raises for damaged images.
IMAGE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)
ORIENTATION = 0x0112  # EXIF tag
TURNS = {  # Pillow's operation that makes an image of an orientation upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
TURNED = (5, 6, 7, 8)  # orientations that swap width and height


def open_image(source: Path | bytes, where: str, kinds: tuple[str, ...]) -> Image.Image:
    """An image of which only the header has been read.

    Args:
        source: Path or content of a file.
        where: Name of the image in messages.
        kinds: Pillow's names of the accepted formats.

    Raises:
        UserError: It can't be read, isn't of these formats, or has more than :data:`.MAX_PIXELS` pixels.
    """
    from PIL import Image

    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise UserError(f"{where}: expected an image file; this is another kind of thing.")
    try:
        with warnings.catch_warnings():  # large images are refused below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=kinds)
    except Image.DecompressionBombError as error:
        raise UserError(f"{where}: an image of more than {MAX_PIXELS:,} pixels ({error}).") from error
    except IMAGE_ERRORS as error:
        raise UserError(f"{where}: not a {' or '.join(kinds)} image ({error}).") from error
    if image.width * image.height > MAX_PIXELS:
        raise UserError(
            f"{where}: an image of {image.width} × {image.height} pixels; at most {MAX_PIXELS:,} pixels are read."
        )
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an image of :func:`open_image` once it is upright, pixels."""
    return (image.width, image.height) if _orientation(image) in TURNED else (image.height, image.width)


def to_rgb(image: Image.Image, where: str) -> Image.Image:
    """The upright RGB image of one from :func:`open_image`.

    An alpha channel is dropped; 16-bit greys are divided by 257.

    Raises:
        UserError: It can't be decoded.
    """
    from PIL import Image

    try:
        if image.mode.startswith("I"):  # 16 bits; Pillow's conversion would clip at 255
            grey = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
            rgb = Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
        else:
            rgb = image.convert("RGB")
        turn = TURNS.get(_orientation(image))
        return rgb if turn is None else rgb.transpose(Image.Transpose[turn])
    except (*IMAGE_ERRORS, MemoryError) as error:
        raise UserError(f"{where}: the image can't be decoded ({error}).") from error


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 (upright) if it is missing or damaged, as image viewers do."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except IMAGE_ERRORS:
        return 1
    return value if value in range(1, 9) else 1
