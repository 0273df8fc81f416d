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


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with _whole(path) as file:
        file.write(text.encode())


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write an image, uint8 [H, W, 3], as a PNG, atomically."""
    from PIL import Image

    with _whole(path) as file:
        Image.fromarray(rgb).save(file, "png")


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
    """The object in a JSON file.

    Raises:
        UserError: The file is missing, not JSON, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}.")
    return content


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
