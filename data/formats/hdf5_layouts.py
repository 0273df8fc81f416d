"""HDF5 layouts that can't be read as episodes: named in errors, with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.data.formats.hdf5 import has, names_in, opened

SHOWN = 8  # most names of a file in a message


@dataclass(frozen=True)
class Layout:
    """A known layout.

    Attributes:
        title: Name in messages.
        members: Paths that only files of this layout have.
        remedy: What to do instead.
    """

    title: str
    members: tuple[str, ...]
    remedy: str


LAYOUTS = (
    Layout(
        "one episode in DROID's raw layout",
        ("observation/robot_state",),
        "Give the folder of the data set instead; the videos beside the file belong to it.",
    ),
    Layout(
        "stable-worldmodel's layout",
        ("pixels", "ep_len", "ep_offset"),
        "It has no poses of an arm, so it has no episodes for vjepa-sim; exported as videos, its images can be used "
        "by `vjepa-sim pretrain --data video:FOLDER`.",
    ),
    Layout(
        "ALOHA's layout, one episode a file",
        ("observations/qpos",),
        "Its states are joint angles; vjepa-sim needs poses of the end effector. With them, write robomimic's layout "
        "or LeRobot v3.",
    ),
    Layout(
        "D4RL's layout",
        ("observations", "terminals"),
        "It has no images and poses of an arm, which vjepa-sim needs.",
    ),
)


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5, complete or not."""
    import h5py

    try:
        return path.is_file() and bool(h5py.is_hdf5(path))
    except OSError:
        return False


def describe_layout(path: Path) -> str:
    """Why an HDF5 file without robomimic's demos can't be read: its layout, and what to do.

    Raises:
        UserError: The file is damaged, cut off, or open in another program.
    """
    with opened(path, str(path)) as file:
        for layout in LAYOUTS:
            if all(has(file, member) for member in layout.members):
                return f"it is {layout.title} ({', '.join(layout.members)}). {layout.remedy}"
        names = sorted(names_in(file))
    have = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"it is HDF5, but not robomimic's, which has data/demo_0, data/demo_1, …; it holds {have or 'nothing'}."
