"""LeRobot's data set format, version 3: many episodes to a Parquet file and, per camera, to an MP4 file."""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.data.formats.format import Progress, no_progress
from vjepa_sim.data.formats.lerobot.layout import INFO, OLD_INFO
from vjepa_sim.data.formats.lerobot.reader import LeRobotReader
from vjepa_sim.data.formats.lerobot.writer import LeRobotWriter

__all__ = ["LeRobotReader", "LeRobotWriter", "detect", "open_reader", "open_writer"]


def detect(path: Path) -> bool:
    """Whether a folder is a LeRobot data set of any version, even a damaged one, which is then an error when opened."""
    return any((Path(path) / info).is_file() for info in (INFO, OLD_INFO))


def open_reader(path: Path, on_progress: Progress = no_progress) -> LeRobotReader:
    """Open a data set; ``on_progress`` is not called, since no index is needed.

    Raises:
        UserError: It isn't version 3, or its description is damaged.
    """
    return LeRobotReader(Path(path))


def open_writer(path: Path) -> LeRobotWriter:
    """Begin a data set in a new folder."""
    return LeRobotWriter(Path(path))
