"""DROID's raw layout: reading and writing."""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.data.formats.droid.layout import VERSION_FOLDER, episode_folder, find_episodes, has_episodes
from vjepa_sim.data.formats.droid.reader import DroidReader, describe, read_episode
from vjepa_sim.data.formats.droid.writer import DroidWriter, write_episode
from vjepa_sim.data.formats.format import Progress, no_progress

__all__ = [
    "VERSION_FOLDER",
    "DroidReader",
    "DroidWriter",
    "describe",
    "detect",
    "episode_folder",
    "find_episodes",
    "open_reader",
    "open_writer",
    "read_episode",
    "write_episode",
]


def detect(path: Path) -> bool:
    """Whether a folder has episodes in DROID's raw layout below it."""
    return path.is_dir() and has_episodes(path)


def open_reader(path: Path, on_progress: Progress = no_progress) -> DroidReader:
    """Open a data set; its episodes are indexed once, see :mod:`vjepa_sim.data.formats.index`."""
    return DroidReader(path, on_progress)


def open_writer(path: Path) -> DroidWriter:
    """Begin a data set."""
    return DroidWriter(path)
