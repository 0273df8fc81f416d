"""States and images of a data set's episodes, opened on demand and cached."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vjepa_sim.data.episode import ROLES, SIDES, exocentric
from vjepa_sim.data.formats.format import Entry, Progress, Reader, no_progress
from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.data.image_faults import find_image_fault
from vjepa_sim.data.left_out import LeftOut
from vjepa_sim.envs import pose
from vjepa_sim.envs.cameras.image_check import reduced_grey
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION

REACH, TURN = 2.0, 2 * np.pi  # bounds of a Franka's states: m, rad
CLOSEDNESS = (-0.1, 1.1)  # bounds of closedness
ON_PURPOSE = np.array(
    [0.01] * 3 + [0.1] * 3 + [0.25]
)  # m, rad, closedness: largest accepted deviation from the intended command
# Images of an episode that are looked at, evenly spaced: enough to find a camera that freezes or goes dark on the way,
# and few enough for the first pass over many hours of video.
LOOKED_AT = 12
OPEN_EPISODES = 2048  # most episodes kept open
OPEN_BYTES = 1 << 30  # most bytes of images held by open episodes


@dataclass(frozen=True, kw_only=True)
class Motion:
    """An episode's states and commands.

    Attributes:
        stamps: float64 [T], seconds.
        states: float64 [T, 7].
        objects: float32 [T, 3], object position in metres, NaN where unknown; a target for training and probes.
        commands: float32 [T, 7], commanded target state; NaN where unknown, and where it differs from the intended one
            by more than :data:`ON_PURPOSE`.
        meant: float32 [T, 7], target state intended to solve the task: the command of a noisy expert without its
            noise, or the expert's label where a planner acted. Equal to the command where the data set has no other.
    """

    stamps: np.ndarray
    states: np.ndarray
    objects: np.ndarray
    commands: np.ndarray
    meant: np.ndarray


class Footage:
    """The usable episodes of a data set, numbered from 0. Bad ones are left out: those with a fault in the index at
    once, others when reading fails or the images show nothing.

    Attributes:
        entries: Entries of the usable episodes.
        digests: Digests of their states; copies have one in common, see :func:`.digest_of`.
        left_out: The other episodes, and the reasons.
        frame_shape: Height and width of the images, pixels.
    """

    def __init__(self, reader: Reader, view: str, short_side: int | None):
        """
        Args:
            reader: Reader of the data set.
            view: Camera, see :meth:`.Episode.view`.
            short_side: Pixels of the shorter image side, to which larger images are reduced; None keeps their size.

        Raises:
            UserError: Too many episodes are bad, or fewer than 2 are good.
        """
        self.left_out = LeftOut(str(reader.root), "episodes", len(reader))
        self._reader, self._view, self._short_side = reader, view, short_side
        self._lock = threading.Lock()
        self._open: OrderedDict[int, tuple[Motion, LazyFrames | np.ndarray]] = OrderedDict()
        self._held = 0
        self._loaded: dict[int, np.ndarray] = {}
        self._looked: dict[int, str] = {}  # what is wrong with the images of an episode, "" if nothing is
        self._roles = sorted({role for entry in reader.entries for role in entry.cameras})
        self._numbers = self._usable()
        self.entries = [reader.entries[number] for number in self._numbers]
        digests = reader.digests()
        self.digests = [frozenset(digests[number].split()) for number in self._numbers]
        self.frame_shape = (0, 0)  # until an episode has been read
        self.frame_shape = self._find_shape()

    def __getstate__(self) -> dict:
        """State without the lock, which can't be pickled for spawned worker processes."""
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = {**state, "_lock": threading.Lock()}

    def bytes(self) -> float:
        """Bytes of all decoded frames."""
        return 3.0 * sum(entry.rows for entry in self.entries) * float(np.prod(self.frame_shape, dtype=float))

    def load(self, budget: float, threads: int, on_progress: Progress = no_progress) -> bool:
        """Decode all frames into memory if they fit.

        Args:
            budget: Bytes available.
            threads: Number of decoding threads.
            on_progress: Called with the number of episodes done and the total.

        Returns:
            Whether the frames fit; if not, nothing is decoded.
        """
        if self.bytes() > budget:
            return False

        def decode(episode: int) -> None:
            try:
                motion, frames = self._read(episode)
                decoded = np.asarray(frames[:])
                self._look(episode, motion, decoded)
                self._loaded[episode] = decoded
            except UserError as error:
                self.leave_out(episode, error)

        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(decode, range(len(self.entries))), start=1):
                on_progress(done, len(self.entries))
        return True

    def motion(self, episode: int) -> Motion:
        """An episode's states and commands.

        Raises:
            UserError: The episode can't be read, or its images show nothing.
        """
        return self._episode(episode)[0]

    def images(self, episode: int, rows: np.ndarray) -> np.ndarray:
        """Images uint8 [N, H, W, 3] of an episode's rows [N].

        Raises:
            UserError: They can't be decoded.
        """
        return self._loaded[episode][rows] if episode in self._loaded else self._episode(episode)[1][rows]

    def leave_out(self, episode: int, error: UserError) -> None:
        """Leave a bad episode out.

        Raises:
            UserError: Too many episodes are left out.
        """
        self.left_out.note(self.entries[episode].name, error)

    def _usable(self) -> list[int]:
        """Numbers of the episodes that have no fault in the index."""
        usable = []
        sizes = Counter((entry.height, entry.width) for entry in self._reader.entries if not entry.error)
        size = max(sizes, key=sizes.__getitem__, default=(0, 0))
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
                f"{self._reader.root}: training needs at least 2 episodes, one of them to be held out; {len(usable)} "
                "can be used."
            )
        return usable

    def _find_shape(self) -> tuple[int, int]:
        if _is_serial(self._view, self._roles):  # a wrong serial is an error, not a bad episode
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
        """An episode's motion and its images, not yet decoded."""
        with self._lock:
            if episode in self._open:
                self._open.move_to_end(episode)
                return self._open[episode]
        opened = self._read(episode)
        self._look(episode, *opened)
        with self._lock:
            if episode not in self._open:
                self._open[episode] = opened
                self._held += _held(opened)
            while len(self._open) > max(OPEN_EPISODES, len(self._loaded)) or self._held > OPEN_BYTES:
                self._held -= _held(self._open.popitem(last=False)[1])
        return opened

    def _look(self, episode: int, motion: Motion, frames: LazyFrames | np.ndarray) -> None:
        """Look at some images of an episode, once.

        Raises:
            UserError: They show nothing.
        """
        if episode not in self._looked:
            rows = np.unique(np.linspace(0, len(motion.states) - 1, LOOKED_AT).round().astype(int))
            grey = np.stack([reduced_grey(image) for image in frames[rows]])
            fault = find_image_fault(grey, motion.states[rows])
            self._looked[episode] = fault.what if fault is not None and fault.spoils else ""
        if self._looked[episode]:
            where = self._reader.where(self._numbers[episode])
            raise UserError(f"{where}: camera {self._view}: {self._looked[episode]}.")

    def _read(self, episode: int) -> tuple[Motion, LazyFrames | np.ndarray]:
        number, rows = self._numbers[episode], self.entries[episode].rows
        read = self._reader.read(number, views=(self._view,))
        where = self._reader.where(number)
        if len(read) < rows:
            raise UserError(f"{where} has {len(read)} rows, but {rows} in the index. Was it changed?")
        frames = read.view(self._view).frames
        if self._short_side is not None and isinstance(frames, LazyFrames):
            frames = frames.reduced(self._short_side)
        if self.frame_shape not in ((0, 0), frames.shape[1:3]):
            raise UserError(f"{where}: its images have the size {frames.shape[1:3]}, others {self.frame_shape}.")
        _check_units(read.states, where)
        objects = read.privileged.get("object_position", np.full((len(read), 3), np.nan))
        commands = np.full((len(read), 7), np.nan) if read.commands is None else read.commands
        meant = read.privileged.get("meant_command", commands)
        if meant is not commands:
            missed = np.abs(pose.difference(meant, commands)) > ON_PURPOSE
            commands = np.where(np.any(missed, axis=1, keepdims=True), np.nan, commands)
        motion = Motion(
            stamps=read.stamps[:rows],
            states=read.states[:rows],
            objects=objects[:rows].astype(np.float32),
            commands=commands[:rows].astype(np.float32),
            meant=meant[:rows].astype(np.float32),
        )
        return motion, frames


def _check_units(states: np.ndarray, where: str) -> None:
    """Reject degrees and centimetres; `vjepa-sim lint` checks more."""
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
    """Whether a view is a camera's serial: neither a side, nor a role of DROID's or of the data set."""
    return view not in (*SIDES, *ROLES, *roles)


def _reason(entry: Entry, view: str, size: tuple[int, int], roles: list[str]) -> str:
    """Why an episode can't be used, by the index; "" if it can."""
    if entry.error:
        return entry.error
    # The index has no serials; they are checked when an episode is read.
    present = len(exocentric(entry.cameras)) > SIDES.index(view) if view in SIDES else view in entry.cameras
    if not present and not _is_serial(view, roles):
        return f"no camera {view!r}, only {', '.join(entry.cameras)}"
    if (entry.height, entry.width) != size:
        return f"its images have {entry.width} × {entry.height} pixels, most have {size[1]} × {size[0]}"
    if entry.rows < 2 or not 0 < entry.duration < np.inf or not 0 < entry.period < np.inf:
        return f"{entry.rows} rows over {entry.duration} s are not a recording"
    return ""
