"""States and pictures of a data set's episodes, opened when they are needed and kept while memory lasts."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vjepa_sim.data.episode import ROLES, SIDES, exocentric
from vjepa_sim.data.formats.format import Entry, Progress, Reader, no_progress
from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.data.left_out import LeftOut
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION

REACH, TURN = 2.0, 2 * np.pi  # m and rad that no state of a Franka exceeds
CLOSEDNESS = (-0.1, 1.1)
ON_PURPOSE = np.array([0.01] * 3 + [0.1] * 3 + [0.25])  # m, rad, closedness by which a command may miss what was meant
OPEN_EPISODES = 2048  # that are remembered
OPEN_BYTES = 1 << 30  # of pictures that open episodes may hold


@dataclass(frozen=True, kw_only=True)
class Motion:
    """An episode without its pictures.

    Attributes:
        stamps: float64 [T], seconds.
        states: float64 [T, 7].
        objects: float32 [T, 3], the object's position in metres, NaN where unknown; to learn from and to probe with.
        commands: float32 [T, 7], the state that the arm was sent to on purpose; NaN where unknown, and where it was
            sent elsewhere than it should have been.
        meant: float32 [T, 7], where it should have been sent toward the task's end: without the noise of a noisy
            expert, or by the expert who watched a planner. Where it was sent if the data don't tell.
    """

    stamps: np.ndarray
    states: np.ndarray
    objects: np.ndarray
    commands: np.ndarray
    meant: np.ndarray


class Footage:
    """The usable episodes of a data set, counted from 0. Bad ones are left out: known ones now, others when they are
    met.

    Attributes:
        entries: of the usable episodes.
        left_out: the others.
        frame_shape: height and width of the pictures.
    """

    def __init__(self, reader: Reader, view: str, short_side: int | None):
        """
        Args:
            reader: of the data set.
            view: which camera, see :meth:`.Episode.view`.
            short_side: larger pictures are reduced to this height or width, whichever is less, in pixels.

        Raises:
            UserError: too many episodes are bad, or fewer than 2 are good.
        """
        self.left_out = LeftOut(str(reader.root), "episodes", len(reader))
        self._reader, self._view, self._short_side = reader, view, short_side
        self._lock = threading.Lock()
        self._open: OrderedDict[int, tuple[Motion, LazyFrames | np.ndarray]] = OrderedDict()
        self._held = 0
        self._loaded: dict[int, np.ndarray] = {}
        self._roles = sorted({role for entry in reader.entries for role in entry.cameras})
        self._numbers = self._usable()
        self.entries = [reader.entries[number] for number in self._numbers]
        self.frame_shape: tuple[int, int] | None = None
        self.frame_shape = self._find_shape()

    def __getstate__(self) -> dict:
        """For worker processes that are spawned: locks don't travel."""
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = {**state, "_lock": threading.Lock()}

    def bytes(self) -> float:
        """Of all frames, decoded."""
        return 3.0 * sum(entry.rows for entry in self.entries) * float(np.prod(self.frame_shape, dtype=float))

    def load(self, budget: float, threads: int, on_progress: Progress = no_progress) -> bool:
        """Decode everything into memory, if it fits.

        Args:
            budget: bytes.
            threads: that decode.
            on_progress: called with the numbers of episodes done and in all.

        Returns:
            Whether it fitted; if not, nothing was decoded.
        """
        if self.bytes() > budget:
            return False

        def decode(episode: int) -> None:
            try:
                self._loaded[episode] = np.asarray(self._episode(episode)[1][:])
            except UserError as error:
                self.leave_out(episode, error)

        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(decode, range(len(self.entries))), start=1):
                on_progress(done, len(self.entries))
        return True

    def motion(self, episode: int) -> Motion:
        """An episode's states.

        Raises:
            UserError: it can't be read.
        """
        return self._episode(episode)[0]

    def pictures(self, episode: int, rows: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] of rows of an episode.

        Raises:
            UserError: they can't be decoded.
        """
        return self._loaded[episode][rows] if episode in self._loaded else self._episode(episode)[1][rows]

    def leave_out(self, episode: int, error: UserError) -> None:
        """Note that an episode is bad.

        Raises:
            UserError: there are too many.
        """
        self.left_out.note(self.entries[episode].name, error)

    def _usable(self) -> list[int]:
        """Numbers of the episodes that the index knows nothing against."""
        usable = []
        sizes = Counter((entry.height, entry.width) for entry in self._reader.entries if not entry.error)
        size = max(sizes, key=sizes.get, default=(0, 0))
        known = {}
        for number, entry in enumerate(self._reader.entries):
            reason = _reason(entry, self._view, size, self._roles)
            if reason:
                known[entry.name] = f"{self._reader.where(number)}: {reason}"
            else:
                usable.append(number)
        damaged = any(entry.error for entry in self._reader.entries)
        if not usable and not damaged and not _is_serial(self._view, self._roles):
            raise UserError(
                f"{self._reader.root}: no episode has a camera {self._view!r}; there is {', '.join(self._roles)}."
            )
        if known:
            first = next(iter(known.values()))
            self.left_out.note(next(iter(known)), f"{len(known)} of {len(self._reader)} episodes, the first: {first}")
            self.left_out.update(known)
        if len(usable) < 2:
            raise UserError(
                f"{self._reader.root}: training needs at least 2 episodes: one to learn from and one to be held out. "
                f"{len(usable)} can be used."
            )
        return usable

    def _find_shape(self) -> tuple[int, int]:
        if _is_serial(self._view, self._roles):  # if the first episode lacks it, that is no damage
            cameras = self._reader.read(self._numbers[0]).cameras
            if self._view not in [camera.serial for camera in cameras]:
                have = ", ".join(camera.serial for camera in cameras)
                views = ", ".join([*SIDES, *self._roles])
                raise UserError(f"{self._reader.root}: no camera {self._view!r}; there is {views}, or {have}.")
        for episode in range(len(self.entries)):
            try:
                return self._episode(episode)[1].shape[1:3]
            except UserError as error:
                self.leave_out(episode, error)
        raise UserError(f"{self._reader.root}: no episode can be read.")

    def _episode(self, episode: int) -> tuple[Motion, LazyFrames | np.ndarray]:
        """States and (not yet decoded) pictures of an episode."""
        with self._lock:
            if episode in self._open:
                self._open.move_to_end(episode)
                return self._open[episode]
        opened = self._read(episode)
        with self._lock:
            if episode not in self._open:
                self._open[episode] = opened
                self._held += _held(opened)
            while len(self._open) > max(OPEN_EPISODES, len(self._loaded)) or self._held > OPEN_BYTES:
                self._held -= _held(self._open.popitem(last=False)[1])
        return opened

    def _read(self, episode: int) -> tuple[Motion, LazyFrames | np.ndarray]:
        number, rows = self._numbers[episode], self.entries[episode].rows
        read = self._reader.read(number, views=(self._view,))
        where = self._reader.where(number)
        if len(read) < rows:
            raise UserError(f"{where} has {len(read)} rows, and had {rows} when it was looked up. Was it changed?")
        frames = read.view(self._view).frames
        if self._short_side is not None and isinstance(frames, LazyFrames):
            frames = frames.reduced(self._short_side)
        if self.frame_shape not in (None, frames.shape[1:3]):
            raise UserError(f"{where}: its pictures have the size {frames.shape[1:3]}, others {self.frame_shape}.")
        _check_units(read.states, where)
        objects = read.privileged.get("object_position", np.full((len(read), 3), np.nan))
        commands = np.full((len(read), 7), np.nan) if read.commands is None else read.commands
        meant = read.privileged.get("meant_command", commands)
        if meant is not commands:
            missed = np.abs(pose.difference(meant, commands)) > ON_PURPOSE
            commands = np.where(missed.any(1)[:, None], np.nan, commands)
        motion = Motion(
            stamps=read.stamps[:rows],
            states=read.states[:rows],
            objects=objects[:rows].astype(np.float32),
            commands=commands[:rows].astype(np.float32),
            meant=meant[:rows].astype(np.float32),
        )
        return motion, frames


def _check_units(states: np.ndarray, where: str) -> None:
    """Nothing is learnt from degrees or centimetres; `vjepa-sim lint` looks closer."""
    place, turn, grip = np.abs(states[:, POSITION]).max(), np.abs(states[:, ROTATION]).max(), states[:, GRIPPER]
    if place > REACH or turn > TURN or grip.min() < CLOSEDNESS[0] or grip.max() > CLOSEDNESS[1]:
        raise UserError(
            f"{where}: its states reach {place:.3g} m, {turn:.3g} rad and closedness {grip.min():.3g} to "
            f"{grip.max():.3g}; expected metres, radians, and 0 (open) to 1 (closed)."
        )


def _held(opened: tuple[Motion, LazyFrames | np.ndarray]) -> int:
    frames = opened[1]
    return frames.held_bytes if isinstance(frames, LazyFrames) else frames.nbytes


def _is_serial(view: str, roles: list[str]) -> bool:
    """Whether a view is a camera's serial: neither a side nor a role, of DROID's or of the data set's own."""
    return view not in (*SIDES, *ROLES, *roles)


def _reason(entry: Entry, view: str, size: tuple[int, int], roles: list[str]) -> str:
    """What is known against an episode; "" if nothing is."""
    if entry.error:
        return entry.error
    # Which camera has a serial is found out when an episode is read.
    present = len(exocentric(entry.cameras)) > SIDES.index(view) if view in SIDES else view in entry.cameras
    if not present and not _is_serial(view, roles):
        return f"no camera {view!r}, only {', '.join(entry.cameras)}"
    if (entry.height, entry.width) != size:
        return f"its pictures are {entry.width} × {entry.height} pixels, most are {size[1]} × {size[0]}"
    if entry.rows < 2 or not 0 < entry.duration < np.inf or not 0 < entry.period < np.inf:
        return f"{entry.rows} rows over {entry.duration} s are no recording"
    return ""
