"""Clips of robot episodes, drawn by time: their frames lie one control period apart, whatever the recording's rate."""

from __future__ import annotations

import logging
import os
import threading
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from data.clip import Clip
from data.episode import VIEWS
from data.formats.format import Progress, Reader, no_progress
from data.frames import LazyFrames
from envs.errors import UserError, unknown_name

PERIODS = {
    "paper": 0.25,
    "released": 1.06,
}  # s: what V-JEPA 2-AC's paper says, and what its released recipe did to DROID
HELD_OUT = 0.05  # share of the episodes that is kept out of training, at least one
MAX_BAD_SHARE = 0.1  # of the episodes that may be unreadable
MAX_GAP = 0.25  # share of a period by which a frame may miss its time; beyond it, rows were lost
TRIES = 1000  # draws, one after another, that may meet bad episodes and gaps
OPEN_EPISODES = 2048  # whose states are remembered
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Motion:
    """An episode without its pictures.

    Attributes:
        stamps: float64 [T], seconds.
        states: float32 [T, 7].
        objects: float32 [T, 3], the object's position in metres, NaN where unknown; for probes only.
    """

    stamps: np.ndarray
    states: np.ndarray
    objects: np.ndarray


@dataclass(frozen=True)
class Sample:
    """Frames picked at random, to look at or to probe.

    Attributes:
        frames: uint8 [N, H, W, 3].
        states: float32 [N, 7].
        objects: float32 [N, 3], see :class:`Motion`.
        episodes: int64 [N], the number of each frame's episode.
    """

    frames: np.ndarray
    states: np.ndarray
    objects: np.ndarray
    episodes: np.ndarray


class Clips:
    """Episodes of one data set as a source of clips.

    Small data sets are decoded into memory by :meth:`load`; of others only the frames that are asked for are decoded.
    An episode that can't be read is named, counted and left out, up to a tenth of them.

    Attributes:
        period: seconds between two frames.
        view: which camera, see :meth:`data.episode.Episode.view`.
        lengths: int64 [E], rows of the episodes.
        starts: int64 [E], number of each episode's first frame when all frames are counted through.
        bad: why episodes were left out, by name.
        record: what the data were, for the card; JSON-compatible.
    """

    def __init__(
        self, reader: Reader, period: float, view: str = "left", short_side: int | None = None, source: str = ""
    ):
        """
        Args:
            reader: of the data set.
            period: seconds.
            view: which camera.
            short_side: larger pictures are reduced to this height or width, whichever is less, in pixels.
            source: how the user called the data set.

        Raises:
            UserError: too many episodes are bad, fewer than 2 are good, or the rows are too far apart for the period.
        """
        self.period, self.view = period, view
        self.bad: dict[str, str] = {}
        self._reader, self._short_side = reader, short_side
        self._lock = threading.Lock()
        self._open: OrderedDict[int, tuple[Motion, LazyFrames | np.ndarray]] = OrderedDict()
        self._loaded: dict[int, np.ndarray] = {}
        self._rooms: dict[tuple[int, int, bool], np.ndarray] = {}
        self._numbers = self._usable()
        entries = [reader.entries[number] for number in self._numbers]
        self.lengths = np.array([entry.rows for entry in entries])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self._durations = np.array([entry.duration for entry in entries])
        _check_period(float(np.median([entry.period for entry in entries])), period, reader)
        # Drawn, not counted off: collections cycle through tasks, and every task should be held out from.
        order = np.random.default_rng(0).permutation(len(entries))
        held_out = max(1, round(HELD_OUT * len(entries)))
        self.held_out_episodes, self.training_episodes = np.sort(order[:held_out]), np.sort(order[held_out:])
        self.record = {
            "sources": [source or f"{reader.format}:{reader.root}"],
            "view": view,
            "period": period,
            "episodes": len(entries),
            "frames": int(self.lengths.sum()),
            "grippers": sorted({entry.gripper for entry in entries if entry.gripper}),
            "seeds": [entry.seed for entry in entries if entry.seed is not None],
        }

    def __getstate__(self) -> dict:
        """For worker processes that are spawned: locks don't travel."""
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = {**state, "_lock": threading.Lock()}

    @property
    def identity(self) -> dict:
        """What a resumed run compares to know that the data are still the same, JSON-compatible."""
        told = {name: value for name, value in self.record.items() if name not in ("seeds", "grippers")}
        return {**told, "seeds_crc32": zlib.crc32(repr(self.record["seeds"]).encode())}

    def __len__(self) -> int:
        """Frames in all."""
        return int(self.lengths.sum())

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of the first good episode's pictures."""
        return next(self._opened())[1].shape[1:3]

    def frame_bytes(self) -> float:
        """Bytes of all frames, decoded."""
        return 3.0 * len(self) * float(np.prod(self.frame_shape, dtype=float))

    def load(self, budget: float, on_progress: Progress = no_progress) -> bool:
        """Decode everything into memory, if it fits.

        Args:
            budget: bytes.
            on_progress: called with the numbers of episodes done and in all.

        Returns:
            Whether it fitted; if not, nothing was decoded.
        """
        if self.frame_bytes() > budget:
            return False

        def decode(episode: int) -> None:
            try:
                self._loaded[episode] = np.asarray(self._episode(episode)[1][:])
            except UserError as error:
                self._leave_out(episode, error)

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for done, _ in enumerate(pool.map(decode, range(len(self.lengths))), start=1):
                on_progress(done, len(self.lengths))
        return True

    # --- drawing ----------------------------------------------------------------------------------------------

    def check_span(self, frames: int, stride: int = 1) -> None:
        """Refuse clips that are longer than every episode, of training or held out, before a run has begun.

        Raises:
            UserError: it names the longest episode.
        """
        longest = min(self._durations[episodes].max() for episodes in (self.training_episodes, self.held_out_episodes))
        span = (frames - 1) * stride * self.period
        if longest < span * (1 - 1e-6):
            raise UserError(
                f"A clip of {frames} frames spans {span:.4g} s, and the longest episodes (to learn from, and held out) "
                f"last {longest:.4g} s. Take longer ones, or a shorter period than {self.period} s."
            )

    def draw_clip(
        self, rng: np.random.Generator, frames: int, stride: int = 1, held_out: bool = False, pictures: bool = True
    ) -> Clip:
        """A random clip; every possible clip is about equally likely.

        Args:
            rng: equal ones give equal clips.
            frames: of the clip.
            stride: periods from one frame to the next.
            held_out: from the episodes that training never sees.
            pictures: whether they are decoded.

        Raises:
            UserError: no episode is long enough, or too many are bad.
        """
        rooms = self._room(frames, stride, held_out)
        episodes = self.held_out_episodes if held_out else self.training_episodes
        for _ in range(TRIES):
            episode = int(episodes[np.searchsorted(rooms, rng.random() * rooms[-1], side="right")])
            where = rng.random()
            if self.is_bad(episode):
                continue
            try:
                motion, _ = self._episode(episode)
                rows = _rows_in_time(motion.stamps, where, frames, stride * self.period)
                if rows is None:
                    continue
                shown = self._pictures(episode, rows) if pictures else None
            except UserError as error:
                self._leave_out(episode, error)
                continue
            return Clip(shown, motion.states[rows], self.starts[episode] + rows)
        raise UserError(
            f"{self._reader.root}: {TRIES} draws found no clip of {frames} frames {stride * self.period:.4g} s apart; the "
            "recordings have too many gaps. `vjepa-sim lint` tells where."
        )

    def sample(self, rng: np.random.Generator, count: int) -> Sample:
        """Random frames of all good episodes, in order; fewer if there are fewer."""
        numbers = np.sort(rng.choice(len(self), min(count, len(self)), replace=False))
        parts = []
        for episode, rows in self._by_episode(numbers):
            try:
                motion, _ = self._episode(episode)
                parts.append(
                    (self._pictures(episode, rows), motion.states[rows], motion.objects[rows], rows * 0 + episode)
                )
            except UserError as error:
                self._leave_out(episode, error)
        return Sample(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def frames_at(self, numbers: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] of frames by their numbers [N]; black where an episode is left out."""
        parts = []
        for episode, rows in self._by_episode(numbers):
            try:
                parts.append(self._pictures(episode, rows))
            except UserError as error:
                self._leave_out(episode, error)
                parts.append(np.zeros((len(rows), *self.frame_shape, 3), np.uint8))
        return np.concatenate(parts)

    def is_bad(self, episode: int) -> bool:
        """Whether an episode was left out."""
        return self._name(episode) in self.bad

    # --- episodes ---------------------------------------------------------------------------------------------

    def _usable(self) -> list[int]:
        """Numbers of the episodes that the index knows nothing against."""
        usable = []
        sizes = Counter((entry.height, entry.width) for entry in self._reader.entries if not entry.error)
        size = max(sizes, key=sizes.get, default=(0, 0))
        for number, entry in enumerate(self._reader.entries):
            if entry.error:
                self.bad[entry.name] = entry.error
            elif not _has_view(entry.cameras, self.view):
                self.bad[entry.name] = f"{self._reader.where(number)}: no camera {self.view!r}"
            elif (entry.height, entry.width) != size:
                self.bad[entry.name] = (
                    f"{self._reader.where(number)}: its pictures are {entry.width} × {entry.height} pixels, most are "
                    f"{size[1]} × {size[0]}"
                )
            elif entry.rows > 1:
                usable.append(number)
        if self.bad:
            log.warning("%s", self._bad_text())
        self._check_bad()
        if len(usable) < 2:
            raise UserError(
                f"{self._reader.root}: training needs at least 2 episodes: one to learn from and one to be held out. "
                f"{len(usable)} can be used."
            )
        return usable

    def _room(self, frames: int, stride: int, held_out: bool) -> np.ndarray:
        """How many clips the episodes have room for, summed up; for drawing in proportion."""
        key = (frames, stride, held_out)
        if key not in self._rooms:
            self.check_span(frames, stride)
            episodes = self.held_out_episodes if held_out else self.training_episodes
            span = (frames - 1) * stride * self.period
            spare = self._durations[episodes] - span * (1 - 1e-6)
            rows = self._durations[episodes] / (self.lengths[episodes] - 1)
            self._rooms[key] = np.cumsum(np.where(spare >= 0, np.floor(np.maximum(spare, 0) / rows) + 1, 0))
        return self._rooms[key]

    def _episode(self, episode: int) -> tuple[Motion, LazyFrames | np.ndarray]:
        """States and (not yet decoded) pictures of an episode."""
        with self._lock:
            if episode in self._open:
                self._open.move_to_end(episode)
                return self._open[episode]
        read = self._reader.read(int(self._numbers[episode]), views=(self.view,))
        if len(read) > self.lengths[episode] or len(read) < self.lengths[episode] - 1:
            raise UserError(
                f"{self._where(episode)} has {len(read)} rows, and {self.lengths[episode]} when it was looked up. Was it "
                "changed? Touch its folder to have it looked up again."
            )
        objects = read.privileged.get("object_position", np.full((len(read), 3), np.nan))
        frames = read.view(self.view).frames
        if self._short_side is not None and not isinstance(frames, np.ndarray):
            frames = frames.reduced(self._short_side)
        opened = Motion(read.stamps, read.states.astype(np.float32), objects.astype(np.float32)), frames
        with self._lock:
            self._open[episode] = opened
            while len(self._open) > max(OPEN_EPISODES, len(self._loaded)):
                self._open.popitem(last=False)
        return opened

    def _opened(self) -> Iterator[tuple[Motion, LazyFrames | np.ndarray]]:
        for episode in range(len(self.lengths)):
            try:
                yield self._episode(episode)
            except UserError as error:
                self._leave_out(episode, error)

    def _pictures(self, episode: int, rows: np.ndarray) -> np.ndarray:
        if episode in self._loaded:
            return self._loaded[episode][rows]
        return self._episode(episode)[1][rows]

    def _by_episode(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Runs of frames of one episode: its number and their rows."""
        episodes = np.searchsorted(self.starts, numbers, side="right") - 1
        for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(episodes)) + 1):
            if len(run):
                yield int(episodes[run[0]]), numbers[run] - self.starts[episodes[run[0]]]

    # --- bad ones ---------------------------------------------------------------------------------------------

    def _name(self, episode: int) -> str:
        return self._reader.entries[self._numbers[episode]].name

    def _where(self, episode: int) -> str:
        return self._reader.where(int(self._numbers[episode]))

    def _leave_out(self, episode: int, error: UserError) -> None:
        with self._lock:
            new = self._name(episode) not in self.bad
            self.bad[self._name(episode)] = str(error)
        if new:
            log.warning("An episode is left out. %s", error)
        self._check_bad()

    def _check_bad(self) -> None:
        if len(self.bad) > max(1, MAX_BAD_SHARE * len(self._reader)):
            raise UserError(
                f"{self._bad_text()} At most {MAX_BAD_SHARE:.0%} may be bad: restore them, or move them away with "
                f"`vjepa-sim lint {self._reader.root} --quarantine FOLDER`."
            )

    def _bad_text(self) -> str:
        first = "; ".join(list(self.bad.values())[:3])
        return (
            f"{len(self.bad)} of {len(self._reader)} episodes in {self._reader.root} can't be used, such as: {first}."
        )


def parse_period(text: str) -> float:
    """Seconds, from a number or a name in :data:`PERIODS`."""
    if text in PERIODS:
        return PERIODS[text]
    try:
        seconds = float(text)
    except ValueError:
        raise unknown_name("period", text, [*PERIODS, "a number of seconds"]) from None
    if not 0 < seconds < float("inf"):
        raise UserError(f"A period of {text} s: expected more than 0, or one of {', '.join(PERIODS)}.")
    return seconds


def _has_view(cameras: tuple[str, ...], view: str) -> bool:
    """Whether an episode with these roles may have a view; a serial is found out when it is read."""
    if view in ("left", "right"):
        return any(role != "wrist" for role in cameras)
    return view in cameras or view not in VIEWS


def _check_period(rows: float, period: float, reader: Reader) -> None:
    ratio = period / rows
    if ratio < 0.98 or (ratio < 3 and abs(ratio - round(ratio)) > 0.02 * ratio):
        raise UserError(
            f"{reader.root}: its rows are {rows:.4g} s apart, which gives no frames {period:.4g} s apart. Give a "
            f"--period of {rows:.4g} s, a multiple of it, or more than {3 * rows:.4g} s."
        )


def _rows_in_time(stamps: np.ndarray, where: float, frames: int, step: float) -> np.ndarray | None:
    """Rows [frames] nearest to times ``step`` seconds apart; the first lies at a share ``where`` of what is possible.

    The times are whole multiples of the step from the first row's own, so that rounding to rows never adds up.

    Returns:
        None if the recording has a gap there.
    """
    last = stamps[-1] - (frames - 1) * step
    room = int(np.searchsorted(stamps, last + 1e-6 * step, side="right"))
    if room == 0:
        return None
    wanted = stamps[min(int(where * room), room - 1)] + step * np.arange(frames)
    after = np.clip(np.searchsorted(stamps, wanted), 1, len(stamps) - 1)
    rows = np.where(wanted - stamps[after - 1] <= stamps[after] - wanted, after - 1, after)
    if np.abs(stamps[rows] - wanted).max() > MAX_GAP * step:
        return None
    return rows
