"""Read robomimic's HDF5: our own files exactly, others if they have the arrays that an episode needs."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.format import Entry, Progress, Reader, no_progress
from vjepa_sim.data.formats.hdf5 import find_group, has, has_group, names_in, opened
from vjepa_sim.data.formats.hdf5_layouts import describe_layout, is_hdf5
from vjepa_sim.data.formats.index import indexed
from vjepa_sim.data.formats.robomimic.foreign import About, foreign_episode, read_about
from vjepa_sim.data.formats.robomimic.ours import our_episode
from vjepa_sim.data.formats.robomimic.writer import OURS
from vjepa_sim.envs.errors import UserError

DEMO = re.compile(r"demo_\d+")


class RobomimicReader(Reader):
    """Demos of a file in the order of their numbers.

    Episodes of our own files are restored exactly. In other files, a demo's observations become an episode:

    - States are ``robot0_eef_pos``, ``robot0_eef_quat`` (x, y, z, w) and ``robot0_gripper_qpos``, unchanged: in
      robosuite, the pose of the point between the fingertips in the world frame, not of the flange in the base frame.
    - Closedness is computed for the two fingers of panda_hand (0 to 0.04 m each, closed to open); other grippers
      are errors.
    - There are no time stamps: rows have the rate ``control_freq`` of ``env_args``, by default 20 Hz.
    - ``next_obs``, if present, has the last row. Success is a reward of 1 where all are 0 or 1; other rewards are not
      success, which is then unknown, as commands are.
    - Of the ``<camera>_image`` in uint8, the one with "hand" or "wrist" in its name is ``wrist``, ``agentview`` or the
      first is ``ext1``, the next ``ext2``; roles of further ones are made from their names (:func:`.assign_roles`).
      ``extras`` are the other observations, by name (``obs/object``).
    - LIBERO's files have other names: ``ee_pos``, ``ee_ori`` (a rotation vector), ``gripper_states``, and
      ``<camera>_rgb``, upside down if ``macros_image_convention`` is ``opengl``. The task is its instruction.
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
        names, foreign = _demos(root)
        if not names:
            raise UserError(f"{root}: {describe_layout(root)}")
        self._about = read_about(root) if foreign else About()
        status = os.stat(root)
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
            if has(demo, OURS):
                return our_episode(demo, self.root, where, extras)
            return foreign_episode(demo, self.root, where=where, about=self._about, extras=extras)

    def _describe(self, name: str) -> Entry:
        """The index entry of a demo; an unreadable one has an error in it."""
        try:
            episode = self._read(name, extras=False)
        except UserError as error:
            return Entry(name=name, error=str(error))
        return Entry.of(name, episode)


def is_robomimic(path: Path) -> bool:
    """Whether a file is HDF5 with ``data/demo_<i>``, or HDF5 that can't be opened: reading it gives the reason."""
    if not is_hdf5(path):
        return False
    try:
        return bool(_demos(path)[0])
    except UserError:
        return True


def _demos(path: Path) -> tuple[list[str], bool]:
    """Names of the demos in order, and whether another writer made them; none if it isn't robomimic's layout.

    Raises:
        UserError: The file can't be read.
    """
    with opened(path, str(path)) as file:
        if not has_group(file, "data"):
            return [], True
        data = find_group(file, "data")
        names = sorted((name for name in names_in(data) if DEMO.fullmatch(name)), key=lambda name: (len(name), name))
        return names, not (names and has(data, f"{names[0]}/{OURS}"))
