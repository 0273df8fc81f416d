"""Move episodes with errors out of a data set, with a note of what was moved and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from vjepa_sim.data.files import read_json_object, write_json
from vjepa_sim.data.formats.format import Reader
from vjepa_sim.data.lint.finding import ERROR, Finding
from vjepa_sim.envs.errors import UserError

FOLDER_FORMATS = ("droid", "sim")  # formats with one folder per episode
NOTE = "quarantine.json"


def plan_quarantine(reader: Reader, findings: Sequence[Finding]) -> list[Path]:
    """The folders of the episodes with errors, in order; nothing is moved.

    Raises:
        UserError: The format doesn't have one folder per episode.
    """
    if reader.format not in FOLDER_FORMATS:
        raise UserError(
            f"{reader.root} is in the format {reader.format}, whose episodes share files; none can be moved away. "
            "Convert the data set instead, without these episodes."
        )
    numbers = sorted({each.number for each in findings if each.severity == ERROR and each.number is not None})
    return [reader.root / reader.entries[number].name for number in numbers]


def quarantine(folders: Sequence[Path], root: Path, to: Path, findings: Sequence[Finding]) -> Path:
    """Move episode folders to the same places below another folder.

    The moves and their reasons are written to ``quarantine.json`` there before anything is moved.

    Args:
        folders: Folders from :func:`plan_quarantine`.
        root: Root of the data set.
        to: A folder outside the data set, on the same disk; it may be that of an earlier quarantine.
        findings: The reasons.

    Returns:
        Path of ``quarantine.json``.

    Raises:
        UserError: ``to`` lies inside the data set, on another disk, or holds a folder of the same name; or an episode
            is missing. Nothing has been moved then.
    """
    root, to = Path(root), Path(to)
    if to.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"{to} lies inside {root}: its episodes would still belong to the data set. Give another folder."
        )
    moves = [(folder, to / folder.relative_to(root)) for folder in folders]
    for folder, target in moves:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder (any more); nothing was moved. Check the data set again.")
        if not folder.resolve().is_relative_to(root.resolve()) or folder.resolve() == root.resolve():
            raise UserError(f"{folder} is not a folder inside {root}; nothing was moved.")
        if target.exists():
            raise UserError(f"{target} exists already; nothing was moved. Give another folder.")
    to.mkdir(parents=True, exist_ok=True)
    if any(folder.stat().st_dev != to.stat().st_dev for folder, _ in moves):
        raise UserError(f"{to} lies on another disk than {root}; nothing was moved. Give a folder on the same one.")
    note = to / NOTE
    moved = read_json_object(note).get("moved", []) if note.exists() else []
    for folder, target in moves:
        name = folder.relative_to(root).as_posix()
        why = [each.what for each in findings if each.episode == name and each.severity == ERROR]
        moved.append(
            {
                "episode": name,
                "from": str(folder.resolve()),
                "to": str(target.resolve()),
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "why": why,
            }
        )
    write_json(note, {"moved": moved})
    for folder, target in moves:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)
    return note
