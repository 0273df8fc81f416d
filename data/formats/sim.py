"""Our simulator's episodes: DROID's raw layout, and each tells the seed its scene was drawn from.

A model's card keeps the seeds it was trained on, so that an evaluation can refuse to use them again. That is why
simulated episodes without one are not taken.
"""

from __future__ import annotations

from pathlib import Path

from data.formats import droid
from data.formats.format import Progress, no_progress
from envs.errors import UserError

COLLECTION_FILE = "collection.json"


class SimReader(droid.DroidReader):
    """A :class:`~data.formats.droid.DroidReader` of episodes with seeds."""

    format = "sim"


def detect(path: Path) -> bool:
    """Whether a folder was made by ``vjepa-sim collect``."""
    return (path / COLLECTION_FILE).is_file() and droid.detect(path)


def open_reader(path: Path, on_progress: Progress = no_progress) -> SimReader:
    """Open a collection.

    Raises:
        UserError: an episode has no seed.
    """
    reader = SimReader(path, on_progress)
    without = [entry.name for entry in reader.entries if entry.seed is None and not entry.error]
    if without:
        raise UserError(
            f"{path}: {len(without)} of {len(reader)} episodes have no seed, such as {without[0]}; they are not our "
            f"simulator's. Read them as DROID's: droid:{path}."
        )
    return reader
