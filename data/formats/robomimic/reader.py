"""Read robomimic's HDF5: our own files exactly, others if they have the arrays that an episode needs."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.format import Entry, Progress, Reader, no_progress
from vjepa_sim.data.formats.hdf5 import HDF5_ERRORS, attribute_text, find_group, names_in, opened
from vjepa_sim.data.formats.index import indexed
from vjepa_sim.data.formats.robomimic.foreign import foreign_episode
from vjepa_sim.data.formats.robomimic.ours import our_episode
from vjepa_sim.data.formats.robomimic.writer import OURS
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

DEMO = re.compile(r"demo_\d+")


class RobomimicReader(Reader):
    """Demos of a file in the order of their numbers.

    Episodes of our own files are restored exactly. In other files, a demo's observations become an episode:

    - States are ``robot0_eef_pos``, ``robot0_eef_quat`` (x, y, z, w) and ``robot0_gripper_qpos``, unchanged: in
      robosuite, the pose of the point between the fingertips in the world frame, not of the flange in the base frame.
    - Closedness is computed for the two fingers of panda_hand (0 to 0.04 m each, closed to open); other grippers
      are errors.
    - There are no time stamps: rows have the rate ``control_freq`` of ``env_args``, by default 20 Hz.
    - ``next_obs``, if present, has the last row. Success is a reward above 0; commands are unknown.
    - Of the ``<camera>_image`` in uint8, the one with "hand" or "wrist" in its name is ``wrist``, ``agentview`` or the
      first is ``ext1``, the next ``ext2``; roles of further ones are made from their names (:func:`.assign_roles`).
      ``extras`` are the other observations, by name (``obs/object``).
    """

    format = "robomimic"

    def __init__(self, root: Path, on_progress: Progress = no_progress):
        """
        Args:
            root: Path of the file.
            on_progress: See :func:`.open_reader`.

        Raises:
            UserError: It is missing, damaged, or holds no demos.
        """
        self.root = root = Path(root)  # set before the index is built, which reads demos
        with opened(root, str(root)) as file:
            data = find_group(file, "data")
            names = sorted(
                (name for name in names_in(data) if DEMO.fullmatch(name)), key=lambda name: (len(name), name)
            )
            foreign = bool(names) and not _is_ours(data, names[0])
            status = os.stat(root)
        self._env = _env_args(root) if foreign else {}
        stamp = (status.st_mtime_ns * 1_000_003 + status.st_size) % 2**63
        super().__init__(root, indexed(root, dict.fromkeys(names, stamp), self._describe, on_progress))

    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """See :meth:`.Reader.read`."""
        episode = self._read(self.entries[number].name, extras)
        if views is None:
            return episode
        try:
            cameras = {camera.role: camera for camera in (episode.view(view) for view in views)}
        except UserError as error:
            raise UserError(f"{self.where(number)}: {error}") from error
        return replace(episode, cameras=tuple(cameras.values()))

    def _read(self, name: str, extras: bool) -> Episode:
        where = f"{self.root}: {name}"
        with opened(self.root, where) as file:
            demo = find_group(find_group(file, "data"), name)
            if OURS in demo:
                return our_episode(demo, self.root, where, extras)
            return foreign_episode(demo, self.root, where=where, env=self._env, extras=extras)

    def _describe(self, name: str) -> Entry:
        """The index entry of a demo; an unreadable one has an error in it."""
        try:
            episode = self._read(name, extras=False)
        except UserError as error:
            return Entry(name=name, error=str(error))
        return Entry.of(name, episode)


def is_robomimic(path: Path) -> bool:
    """Whether a file is HDF5 with ``data/demo_<i>``."""
    import h5py

    try:
        if not path.is_file() or not h5py.is_hdf5(path):
            return False
        with h5py.File(path, "r") as file:
            return any(DEMO.fullmatch(name) for name in names_in(find_group(file, "data")))
    except HDF5_ERRORS:
        return False


def _is_ours(data: h5py.Group, name: str) -> bool:
    try:
        return f"{name}/{OURS}" in data
    except HDF5_ERRORS:
        return False


def _env_args(path: Path) -> dict[str, Any]:
    """The environment of the demos; empty if unknown."""
    try:
        env = json.loads(attribute_text(path, "data", "env_args") or "{}")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: the attribute env_args of data can't be read ({error})") from error
    if not isinstance(env, dict) or not isinstance(env.get("env_kwargs", {}), dict):
        raise UserError(f"{path}: the attribute env_args of data must be a JSON object, and so must its env_kwargs")
    return env
