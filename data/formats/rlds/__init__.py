"""DROID's RLDS release (TFDS's TFRecord files), read without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.data.encoded_frames import EncodedFrames
from vjepa_sim.data.formats.format import Progress, no_progress
from vjepa_sim.data.formats.rlds.reader import RLDSReader, find_folder

__all__ = ["EncodedFrames", "RLDSReader", "detect", "open_reader"]


def detect(path: Path) -> bool:
    """Whether a folder, or a version's folder in it (``1.0.0``), has TFRecord files."""
    return find_folder(Path(path)) is not None


def open_reader(path: Path, on_progress: Progress = no_progress) -> RLDSReader:
    """Open a data set; its episodes are indexed once, see :mod:`vjepa_sim.data.formats.index`."""
    return RLDSReader(Path(path), on_progress)
