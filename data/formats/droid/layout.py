"""DROID's raw layout: one folder per episode with trajectory.h5, metadata_<uuid>.json and recordings/MP4.

    <root>/1.0.1/<LAB>/{success,failure}/<YYYY-MM-DD>/<Www_Mmm_dd_HH:MM:SS_YYYY>/

Row i of the HDF5 file and frame i of each video belong together. Times are the stamps in the HDF5 file, or follow from
15 rows a second; never from a video's header, which has 60 frames a second in real DROID.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vjepa_sim.data.walk import Folder, walk
from vjepa_sim.envs.errors import UserError

VERSION_FOLDER = "1.0.1"
LAB = "SIM"
TRAJECTORY = "trajectory.h5"
VIDEOS = Path("recordings") / "MP4"
RATE = 15.0  # Hz of DROID's control loop
# Simulated episodes have made-up times from here on, two minutes apart, so that folder names repeat for equal seeds.
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
# time.asctime() with "_" for each blank; some copies also have "_" for each colon.
EPISODE_NAME = re.compile(r"[A-Z][a-z]{2}_[A-Z][a-z]{2}_{1,2}\d{1,2}_\d{2}[:_]\d{2}[:_]\d{2}_\d{4}")


def moment(index: int) -> datetime:
    """Made-up recording time of episode ``index`` of a simulated collection."""
    return EPOCH + timedelta(minutes=2 * index)


def episode_folder(root: Path, index: int, success: bool, *, lab: str = LAB, when: datetime | None = None) -> Path:
    """Folder of episode ``index`` of a collection.

    Args:
        root: Root of the collection.
        index: Index of the episode.
        success: Whether the task was achieved.
        lab: Lab of the recording.
        when: Time of the recording; None means :func:`moment`.
    """
    when = when or moment(index)
    name = f"{when:%a_%b}_{when.day:2d}_{when:%H:%M:%S_%Y}".replace(" ", "_")
    return root / VERSION_FOLDER / lab / ("success" if success else "failure") / f"{when:%Y-%m-%d}" / name


def find_episodes(root: Path) -> dict[str, int]:
    """Folders of episodes, relative to ``root``, by date and time, each with a number that changes with its files.

    Which folders are searched is the rule of :mod:`vjepa_sim.data.walk`. Folders with an episode's name are not
    searched, so that 100,000 of them take seconds.

    Raises:
        UserError: There is no such folder, or no episode in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder. Collect episodes first: `vjepa-sim collect --out {root} --episodes 100 --seed 0`."
        )
    found = {folder.inside or ".": _fingerprint(folder) for folder in walk(root, _is_episode) if _is_episode(folder)}
    if not found:
        raise UserError(
            f"No episode (a folder with {TRAJECTORY}) was found below {root}. Is it a data set in DROID's raw layout?"
        )
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def has_episodes(root: Path) -> bool:
    """Whether a folder has an episode below it; the search ends at the first."""
    try:
        return any(_is_episode(folder) for folder in walk(root, _is_episode))
    except UserError:
        return False


def _is_episode(folder: Folder) -> bool:
    return bool(EPISODE_NAME.fullmatch(folder.name)) or any(item.name == TRAJECTORY for item in folder.files)


def _fingerprint(folder: Folder) -> int:
    """A number that changes with the names, sizes and times of the files that an episode's entry depends on."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (folder.path, folder.path / VIDEOS):
        for item in sorted(_files(part), key=lambda item: item.name):
            with suppress(OSError):
                status = item.stat()
                digest.update(os.fsencode(f"{item.name}/{status.st_size}/{status.st_mtime_ns}/"))
    return int.from_bytes(digest.digest(), "big", signed=True)


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return Folder(folder).files
    except UserError:  # no videos: an error when the episode is read
        return []


def _order(name: str) -> tuple[str, list[str], str]:
    parts = name.split("/")
    return (parts[-2] if len(parts) > 1 else "", re.split("[_:]", parts[-1])[-4:], name)
