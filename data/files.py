"""Small files (JSON, text, images): written atomically, read with errors that name the file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from vjepa_sim.envs.errors import UserError

MARK = ("Software", "vjepa-sim")  # in the text of our images
MAX_JSON = 2**24  # bytes of a JSON text
MAX_DEPTH = 64  # levels of objects and lists in it
MAX_DIGITS = 64  # digits of a whole number in it


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with _whole(path) as file:
        file.write(text.encode())


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write an image, uint8 [H, W, 3], as a PNG, atomically. It is marked as ours, see :func:`check_replaceable`."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text(*MARK)
    with _whole(path) as file:
        Image.fromarray(rgb).save(file, "png", pnginfo=mark)


def check_replaceable(path: Path) -> None:
    """Check that nothing is at a path, or an image that :func:`write_image` has written.

    Raises:
        UserError: Something else is there.
    """
    from PIL import Image

    if not path.exists():
        return
    try:
        with Image.open(path, formats=("PNG",)) as image:
            ours = image.info.get(MARK[0]) == MARK[1]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        ours = False
    if not ours:
        raise UserError(f"{path} exists already, and isn't an image of vjepa-sim. Give another name.")


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file that replaces ``path`` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; see :func:`parse_json_object`.

    Raises:
        UserError: The file is missing, too large, not JSON, or holds something else.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_JSON + 1)
    except OSError as error:
        raise UserError(f"{path}: not readable as JSON ({error}).") from error
    return parse_json_object(content, str(path))


def parse_json_object(content: bytes, where: str) -> dict[str, Any]:
    """The object in a JSON text of bounded size: :data:`MAX_JSON` bytes, :data:`MAX_DEPTH` levels, :data:`MAX_DIGITS`
    digits of a whole number.

    Args:
        content: The text, UTF-8, with or without a byte order mark.
        where: Name of the text in messages.

    Raises:
        UserError: It is too large, not JSON, or something else than an object.
    """
    if len(content) > MAX_JSON:
        raise UserError(f"{where}: more than {MAX_JSON // 2**20} MiB; it is no JSON of vjepa-sim's kind.")
    try:
        found = json.loads(content.decode("utf-8-sig"), parse_int=_whole_number)
        too_deep = _is_deeper(found, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not readable as JSON ({error}).") from error
    if too_deep:
        raise UserError(f"{where}: its JSON is nested more than {MAX_DEPTH} levels deep.")
    if not isinstance(found, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(found).__name__}.")
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _is_deeper(content: Any, levels: int) -> bool:
    layer = [content]
    for _ in range(levels + 1):
        layer = [
            each
            for part in layer
            if isinstance(part, dict | list)
            for each in (part.values() if isinstance(part, dict) else part)
        ]
    return bool(layer)


def lacking(content: Any, wanted: dict[str, Any]) -> list[str]:
    """Names of the entries that a JSON object lacks or has with another type.

    Args:
        content: A JSON value; one that is no object lacks all.
        wanted: Names and their types, as ``isinstance`` takes them.
    """
    return [
        name
        for name, kind in wanted.items()
        if not isinstance(content, dict) or name not in content or not isinstance(content[name], kind)
    ]
