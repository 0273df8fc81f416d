"""A data format of one's own: a folder with one ``.npz`` file per episode.

An episode's file holds ``states`` float64 [T, 7], ``stamps`` float64 [T], perhaps ``commands`` float64 [T, 7], one
array ``rgb_<role>`` uint8 [T, H, W, 3] per camera, and ``about``, JSON text with what has no rows.

Try it::

    vjepa-sim convert data episodes --to npz --out episodes-npz --plugin examples/npz_format.py
    vjepa-sim train --plugin examples/npz_format.py --data npz:episodes-npz --encoder tiny --out model
"""

from __future__ import annotations

import json
import sys
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.files import lacking
from vjepa_sim.data.formats import FORMATS, Entry, Format, Reader, Writer
from vjepa_sim.data.formats.format import Progress
from vjepa_sim.data.formats.index import indexed
from vjepa_sim.envs.errors import UserError

PATTERN = "episode-*.npz"
RGB = "rgb_"
MAX_BYTES = 2**31  # of an unpacked episode; a file that claims more is damaged
ABOUT = {"task": str, "success": bool | None, "behavior": str, "seed": int | None, "details": dict}
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # what NumPy raises for such files


class NpzReader(Reader):
    """Reads the files of a folder in alphabetical order; no name inside of a file is used as a path."""

    format = "npz"

    def __init__(self, root: Path, on_progress: Progress):
        self.root = root
        files = sorted(path for path in root.glob(PATTERN) if path.is_file())
        changed = {path.name: path.stat().st_mtime_ns for path in files}
        super().__init__(root, indexed(root, changed, self._describe, on_progress))

    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """See :meth:`.Reader.read`; there are no extras."""
        try:
            episode = load(self.root / self.entries[number].name)
            if views is None:
                return episode
            cameras = {camera.role: camera for camera in map(episode.view, views)}
            return replace(episode, cameras=tuple(cameras.values()))
        except UserError as error:
            raise UserError(f"{self.where(number)}: {error}") from error

    def _describe(self, name: str) -> Entry:
        """What the index holds about an episode; one that can't be read is an entry with an error."""
        try:
            episode = load(self.root / name)
        except UserError as error:
            return Entry(name=name, error=f"{name}: {error}")
        return Entry.of(name, episode)


class NpzWriter(Writer):
    """Writes one file per episode. Not kept: extras, joints, privileged arrays and the cameras' poses."""

    format = "npz"

    def __init__(self, root: Path):
        root.mkdir(parents=True, exist_ok=True)
        self._root, self._count = root, 0

    def write(self, episode: Episode) -> None:
        """See :meth:`.Writer.write`."""
        about = json.dumps({name: getattr(episode, name) for name in ABOUT})
        arrays = {"states": episode.states, "stamps": episode.stamps, "about": np.array(about)}
        arrays |= {RGB + camera.role: camera.frames[:] for camera in episode.cameras}
        if episode.commands is not None:
            arrays["commands"] = episode.commands
        path = self._root / f"episode-{self._count:06d}.npz"
        partial = path.with_suffix(".partial")  # a file that is there is whole
        with open(partial, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        partial.rename(path)
        self._count += 1


def load(path: Path) -> Episode:
    """Read an episode; its arrays are checked by :class:`.Episode`.

    Raises:
        UserError: The file is missing or damaged, or an array is missing or has another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(member.file_size for member in file.zip.infolist()) > MAX_BYTES:
                raise UserError(f"it claims more than {MAX_BYTES} bytes")
            arrays = dict(file)
            about = json.loads(str(arrays.pop("about")))
        missing = lacking(about, ABOUT)
        if missing:
            raise UserError(f"'about' lacks {', '.join(missing)}")
        roles = [name.removeprefix(RGB) for name in arrays if name.startswith(RGB)]
        return Episode(
            cameras=tuple(Camera(serial=role, frames=arrays[RGB + role], role=role) for role in roles),
            states=arrays["states"].astype(np.float64),
            stamps=arrays["stamps"].astype(np.float64),
            commands=arrays["commands"].astype(np.float64) if "commands" in arrays else None,
            **{name: about[name] for name in ABOUT},
        )
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"can't be read as an episode ({error})") from error


# --- what :class:`.FormatModule` asks for -------------------------------------------------------------------------


def detect(path: Path) -> bool:
    """Whether a folder holds such files."""
    return path.is_dir() and any(path.glob(PATTERN))


def open_reader(path: Path, on_progress: Progress) -> NpzReader:
    """Open a data set."""
    return NpzReader(path, on_progress)


def open_writer(path: Path) -> NpzWriter:
    """Begin a new data set."""
    return NpzWriter(path)


FORMATS.register(Format("npz", "a folder of .npz files", sys.modules[__name__]))
