"""Our simulator's episodes: DROID's raw layout with the seed of each scene.

A model's card lists the seeds it was trained on, so that an evaluation can reject them. Simulated episodes without a
seed are therefore not read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vjepa_sim.data.formats import droid
from vjepa_sim.data.formats.format import Entry, Progress, no_progress
from vjepa_sim.envs.errors import UserError

COLLECTION_FILE = "collection.json"


class SimReader(droid.DroidReader):
    """A :class:`.DroidReader` for episodes with seeds."""

    format = "sim"


def detect(path: Path) -> bool:
    """Whether a folder was made by ``vjepa-sim collect``."""
    return (path / COLLECTION_FILE).is_file() and droid.detect(path)


def open_reader(path: Path, on_progress: Progress = no_progress) -> SimReader:
    """Open a collection.

    Raises:
        UserError: No episode has a seed.
    """
    reader = SimReader(path, on_progress)
    seeded = [entry for entry in reader.entries if entry.seed is not None]
    if not seeded and not all(entry.error for entry in reader.entries):
        raise UserError(
            f"{path}: its episodes have no seeds, so they are not our simulator's. Read them as DROID's: droid:{path} "
            "as --data, or --format droid."
        )
    reader.entries = [_with_seed(entry) for entry in reader.entries]
    return reader


def _with_seed(entry: Entry) -> Entry:
    if entry.error or entry.seed is not None:
        return entry
    return replace(entry, error=f"{entry.name}: no seed; the episode's metadata is missing or not our simulator's.")
