"""DROID's raw layout: one folder per episode with trajectory.h5, metadata_<uuid>.json and recordings/MP4.

    <root>/1.0.1/<LAB>/{success,failure}/<YYYY-MM-DD>/<Www_Mmm_dd_HH:MM:SS_YYYY>/

Row i of the HDF5 file and frame i of each video belong together. Time is taken from the stamps in the HDF5 file, or
from its rows, which are 15 Hz apart; never from a video's header, which says 60 frames a second in real DROID.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from envs.errors import UserError

VERSION_FOLDER = "1.0.1"
LAB = "SIM"
TRAJECTORY = "trajectory.h5"
VIDEOS = Path("recordings") / "MP4"
RATE = 15.0  # Hz of DROID's control loop
# Simulated episodes are stamped from here on, a minute and more apart, so that folder names repeat for the same seed.
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
# time.asctime() with "_" for each blank; some copies also have "_" for each colon.
EPISODE_NAME = re.compile(r"[A-Z][a-z]{2}_[A-Z][a-z]{2}_{1,2}\d{1,2}_\d{2}[:_]\d{2}[:_]\d{2}_\d{4}")


def moment(index: int) -> datetime:
    """When episode ``index`` of a collection is said to have been recorded."""
    return EPOCH + timedelta(minutes=2 * index)


def episode_folder(root: Path, index: int, success: bool) -> Path:
    """Where episode ``index`` of a collection lies."""
    when = moment(index)
    name = f"{when:%a_%b}_{when.day:2d}_{when:%H:%M:%S_%Y}".replace(" ", "_")
    return root / VERSION_FOLDER / LAB / ("success" if success else "failure") / f"{when:%Y-%m-%d}" / name


def find_episodes(root: Path) -> dict[str, int]:
    """Folders of episodes, relative to ``root`` and in order of date and time, and when each was changed, in ns.

    Folders with an episode's name are not looked into: 100,000 of them take seconds this way.

    Raises:
        UserError: there is no such folder, or no episode in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder. Collect episodes first: `vjepa-sim collect --out {root} --episodes 100 --seed 0`."
        )
    found: dict[str, int] = {}
    try:
        _search(root, "", found)
    except OSError as error:
        raise UserError(f"{root} can't be searched for episodes ({error}).") from error
    if not found:
        raise UserError(
            f"No episode (a folder with {TRAJECTORY}) was found below {root}. Is it a data set in DROID's raw layout?"
        )
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def _search(folder: Path, inside: str, found: dict[str, int]) -> None:
    with os.scandir(folder) as entries:
        items = list(entries)
    if any(item.name == TRAJECTORY for item in items):
        found[inside or "."] = folder.stat().st_mtime_ns
        return
    for item in items:
        if item.name.startswith(".") or not item.is_dir():
            continue
        name = f"{inside}/{item.name}" if inside else item.name
        if EPISODE_NAME.fullmatch(item.name):
            found[name] = item.stat().st_mtime_ns
        else:
            _search(Path(item.path), name, found)


def _order(name: str) -> tuple[str, list[str], str]:
    parts = name.split("/")
    return (parts[-2] if len(parts) > 1 else "", re.split("[_:]", parts[-1])[-4:], name)
