"""Clips of robot episodes, drawn by time: frames are whole control periods apart, whatever the recording's rate."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vjepa_sim.data.clip import GoalPair, RobotClip
from vjepa_sim.data.footage import Footage, Motion
from vjepa_sim.data.formats.format import Progress, Reader, no_progress
from vjepa_sim.data.moments import Draw, begin, chunk_at, commands_at, rows_in_time
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError, unknown_name

PERIODS = {
    "paper": 0.25,
    "released": 1.06,
}  # s between frames in V-JEPA 2-AC's paper, and those that its released recipe takes from DROID
HELD_OUT = 0.05  # share of the episodes held out of training; at least one
CHECKED = 8  # up to so many held-out episodes are all decoded beforehand, so that measurements have good ones
# Shares of pairs whose goal is the episode's end, and of pairs at whose goal the fingers start or stop moving.
ENDINGS, TURNS = 0.45, 0.3
NEAR_TURN = 8  # most periods to a goal at which the fingers start or stop moving: what matters happens there
TRIES = 1000  # draws in a row that may meet bad episodes or gaps
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """Frames drawn at random, for display or for a probe.

    Attributes:
        frames: uint8 [N, H, W, 3].
        states: float32 [N, 7].
        objects: float32 [N, 3], see :class:`.Motion`.
        episodes: int64 [N], index of each frame's episode.
    """

    frames: np.ndarray
    states: np.ndarray
    objects: np.ndarray
    episodes: np.ndarray


@dataclass(frozen=True)
class _Found:
    """A clip and its place in the data set.

    Attributes:
        clip: The clip.
        drawn: The draw that selected it.
        motion: Its episode's motion.
        times: float64 [T], seconds.
        commanded: float32 [rows, 7], commands that lead to the draw's goal, for every row of the episode.
    """

    clip: RobotClip
    drawn: Draw
    motion: Motion
    times: np.ndarray
    commanded: np.ndarray


class Clips:
    """Episodes of one data set as a source of clips.

    Data sets that fit are decoded into memory by :meth:`load`; of others, only requested frames are decoded. The clips
    drawn depend neither on that nor on the bad episodes met before.

    Attributes:
        period: Seconds between two frames.
        footage: The episodes.
        lengths: int64 [E], rows of each episode.
        starts: int64 [E], index of each episode's first frame among all frames.
        training_episodes, held_out_episodes: Indices of these episodes.
    """

    def __init__(
        self, reader: Reader, period: float, *, view: str = "left", short_side: int | None = None, source: str = ""
    ):
        """
        Args:
            reader: Reader of the data set.
            period: Seconds between two frames.
            view: Camera, see :meth:`.Episode.view`.
            short_side: Pixels of the shorter image side, to which larger images are reduced; None keeps their size.
            source: Name of the data set in messages and cards; by default its format and path.

        Raises:
            UserError: Too many episodes are bad, fewer than 2 are good, or the rows are too far apart for the period.
        """
        self.period, self.footage = period, Footage(reader, view, short_side)
        self._source, self._view = source or f"{reader.format}:{reader.root}", view
        entries = self.footage.entries
        self.lengths = np.array([entry.rows for entry in entries])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self._durations = np.array([entry.duration for entry in entries])
        _check_period(float(np.median([entry.period for entry in entries])), period, self._source)
        self.held_out_episodes, self.training_episodes = self._hold_out()
        self.leave_out_copies(self.held_out_digests)
        self._excluded: set[int] = set()
        self._rooms: dict[tuple[int, int, bool, bool], tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        """Total number of frames."""
        return int(self.lengths.sum())

    @property
    def record(self) -> dict:
        """Description of the data for the model card, JSON-compatible."""
        entries = self.footage.entries
        return {
            "sources": [self._source],
            "view": self._view,
            "period": self.period,
            "episodes": len(entries),
            "frames": len(self),
            "arms": sorted({entry.arm for entry in entries if entry.arm}),
            "grippers": sorted({entry.gripper for entry in entries if entry.gripper}),
            "seeds": [entry.seed for entry in entries if entry.seed is not None],
            "left_out": sorted(self.footage.left_out.reasons),
        }

    @property
    def identity(self) -> dict:
        """Values that must be the same for a resumed run, JSON-compatible."""
        record = self.record
        compared = {name: record[name] for name in ("sources", "view", "period", "episodes", "frames")}
        return {**compared, "seeds_crc32": zlib.crc32(repr(record["seeds"]).encode())}

    def load(self, budget: float, threads: int, on_progress: Progress = no_progress) -> bool:
        """Decode all frames into memory if they fit; see :meth:`.Footage.load`."""
        return self.footage.load(budget, threads, on_progress)

    def exclude(self, names: set[str]) -> None:
        """Exclude the episodes with these names from drawing."""
        self._excluded = {episode for episode, entry in enumerate(self.footage.entries) if entry.name in names}

    @property
    def held_out_digests(self) -> set[str]:
        """Digests of the held-out episodes, see :meth:`.Reader.digests`."""
        return set().union(*(self.footage.digests[episode] for episode in self.held_out_episodes))

    def leave_out_copies(self, held_out: set[str]) -> None:
        """Leave out training episodes that are copies of held-out ones, also of another data set's, with a warning.

        Args:
            held_out: Digests of held-out episodes.

        Raises:
            UserError: No training episode is left.
        """
        entries, digests = self.footage.entries, self.footage.digests
        copies = [episode for episode in self.training_episodes if digests[episode] & held_out]
        if not copies:
            return
        log.warning(
            "%s: %d training episodes are copies of held-out ones and left out, first %s.",
            self._source, len(copies), entries[copies[0]].name,
        )  # fmt: skip
        self.training_episodes = np.setdiff1d(self.training_episodes, copies)
        if not len(self.training_episodes):
            raise UserError(f"{self._source}: every training episode is a copy of a held-out one. Remove the copies.")

    # --- drawing ----------------------------------------------------------------------------------------------

    def check_span(self, frames: int, stride: int = 1) -> None:
        """Check that clips fit into the longest training episode and the longest held-out one, before a run begins.

        Raises:
            UserError: They don't.
        """
        span = (frames - 1) * stride * self.period
        if self._longest < span * (1 - 1e-6):
            raise UserError(
                f"{self._source}: a clip of {frames} frames spans {span:.4g} s, but the longest training or held-out "
                f"episode lasts {self._longest:.4g} s. Use longer episodes, or a period shorter than {self.period} s."
            )

    def draw_clip(
        self, rng: np.random.Generator, frames: int, stride: int = 1, *, held_out: bool = False, images: bool = True
    ) -> RobotClip:
        """A random clip; every possible clip is about equally likely.

        The first frame is a row of the recording, the others are whole periods later. States are interpolated at these
        times; images are those of the nearest rows, at most half a row away.

        Args:
            rng: Generator; equal ones give equal clips.
            frames: Number of frames.
            stride: Periods from one frame to the next.
            held_out: Draw from the held-out episodes instead of the training episodes.
            images: Decode the frames.

        Raises:
            UserError: No episode is long enough, too many are bad, or no clip without gaps is found.
        """
        draw_episode = self._episodes_with_room(frames, stride, held_out)
        return self._first_good(frames, images, lambda: Draw(draw_episode(rng), stride, "any", rng.random())).clip

    def draw_pair(
        self, rng: np.random.Generator, farthest: int, *, held_out: bool = False, images: bool = True, chunk: int = 0
    ) -> GoalPair:
        """A random start in a successful episode, and a goal: the start itself or a later moment of the episode.

        A share :data:`ENDINGS` of the goals are the episode's last moment, where the task was achieved; their commands
        are those that the expert intended. For other goals, commands are those sent on purpose, NaN where the arm was
        disturbed: noise and mistakes should not be learned. A share :data:`TURNS` of the goals are moments at which the
        fingers start or stop moving, as in sub-goal images: gripper around the object, open or closed. Where the start
        is the goal, the command is to stay. Failed episodes are used only if there are no others.

        Args:
            rng: Generator; equal ones give equal pairs.
            farthest: Most periods between start and goal; every number that fits is equally likely, up to
                :data:`NEAR_TURN` for goals at which the fingers start or stop moving.
            held_out: Draw from the held-out episodes instead of the training episodes.
            images: Decode the frames.
            chunk: Number of periods in the pair's chunk of commands; after the goal, the command is to stay.

        Raises:
            UserError: No episode is long enough, too many are bad, or no pair without gaps is found.
        """
        draw_episode = self._episodes_with_room(2, 1, held_out, solved=True)

        def draw() -> Draw:
            episode = draw_episode(rng)
            room = int(self._durations[episode] / self.period * (1 + 1e-6))
            kind = str(rng.choice(["end", "turn", "any"], p=[ENDINGS, TURNS, 1 - ENDINGS - TURNS]))
            far = min(farthest, room, NEAR_TURN) if kind == "turn" else min(farthest, room)
            return Draw(episode, int(rng.integers(0, far, endpoint=True)), kind, rng.random())

        found = self._first_good(2, images, draw)
        times, following = found.times, None
        if chunk:
            following = chunk_at(
                found.motion, found.commanded, begin=times[0], goal=times[-1], length=chunk, period=self.period
            )
        return GoalPair(**vars(found.clip), stride=found.drawn.stride, chunk=following)

    def _first_good(self, frames: int, images: bool, draw: Callable[[], Draw]) -> _Found:
        """The first drawn clip without gaps."""
        reason: object = "the recordings have too many gaps; `vjepa-sim lint` lists them"
        span = 0.0
        for _ in range(TRIES):
            # A failing draw takes as many random numbers as another, so that knowing a bad episode beforehand changes
            # nothing.
            drawn = draw()
            episode, span = drawn.episode, drawn.stride * self.period
            if episode in self._excluded:
                continue
            try:
                motion = self.footage.motion(episode)
                at = rows_in_time(motion.stamps, begin(drawn, motion, span), frames, span)
                if at is None:
                    continue
                times, rows = at
                shown = self.footage.images(episode, rows) if images else None
            except UserError as error:
                reason = error
                self.footage.leave_out(episode, error)
                continue
            # To stay is to repeat the command of the period before.
            since = times - self.period if drawn.stride == 0 else times
            commanded = motion.meant if drawn.kind == "end" and drawn.stride else motion.commands
            clip = RobotClip(
                frames=shown,
                states=pose.interpolate(motion.states, motion.stamps, times).astype(np.float32),
                objects=motion.objects[rows],
                commands=commands_at(commanded, motion.stamps, since, self.period),
                numbers=self.starts[episode] + rows,
            )
            return _Found(clip, drawn, motion, times, commanded)
        raise UserError(f"{self._source}: no clip of {frames} frames {span:.4g} s apart in {TRIES} draws: {reason}")

    @cached_property
    def _longest(self) -> float:
        """Seconds of the longest training or the longest held-out episode, whichever is shorter."""
        return min(self._durations[episodes].max() for episodes in (self.training_episodes, self.held_out_episodes))

    def _hold_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Held-out episodes and training episodes, at random: collections cycle through tasks, and every task should
        have held-out episodes.
        """
        order = np.random.default_rng(0).permutation(len(self.lengths)).tolist()
        count = max(1, round(HELD_OUT * len(order)))
        held_out = order[:count]
        if count <= CHECKED:
            good = (episode for episode in order if self._is_readable(episode))
            held_out = [episode for _, episode in zip(range(count), good, strict=False)]
        if not held_out or len(held_out) == len(order):
            raise UserError(f"{self._source}: too few episodes are readable to hold one out.")
        return np.sort(held_out), np.array(sorted(set(order) - set(held_out)))

    def _is_readable(self, episode: int) -> bool:
        try:
            self.footage.images(episode, np.arange(self.lengths[episode]))
        except UserError as error:
            self.footage.leave_out(episode, error)
            return False
        return True

    def _episodes_with_room(
        self, frames: int, stride: int, held_out: bool, solved: bool = False
    ) -> Callable[[np.random.Generator], int]:
        """A function that draws an episode, in proportion to the number of such clips that fit into it."""
        key = (frames, stride, held_out, solved)
        if key not in self._rooms:
            self.check_span(frames, stride)
            episodes = self.held_out_episodes if held_out else self.training_episodes
            if solved:
                span, entries = (frames - 1) * stride * self.period * (1 - 1e-6), self.footage.entries
                fit = [e for e in episodes if entries[e].success is not False and self._durations[e] >= span]
                episodes = np.array(fit) if fit else episodes
            spare = self._durations[episodes] - (frames - 1) * stride * self.period * (1 - 1e-6)
            rows = self._durations[episodes] / (self.lengths[episodes] - 1)
            room = np.cumsum(np.where(spare >= 0, np.floor(np.maximum(spare, 0) / rows) + 1, 0))
            self._rooms[key] = (episodes, room)
        episodes, room = self._rooms[key]
        return lambda rng: int(episodes[np.searchsorted(room, rng.random() * room[-1], side="right")])

    # --- looking up -------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator, count: int) -> Sample:
        """Random frames of all good episodes, in order; at most ``count``."""
        numbers = np.sort(rng.choice(len(self), min(count, len(self)), replace=False))
        parts = []
        for episode, rows in self._by_episode(numbers):
            try:
                motion = self.footage.motion(episode)
                states = motion.states[rows].astype(np.float32)
                parts.append((self.footage.images(episode, rows), states, motion.objects[rows], rows * 0 + episode))
            except UserError as error:
                self.footage.leave_out(episode, error)
        return Sample(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def frames_at(self, numbers: np.ndarray) -> np.ndarray:
        """Frames uint8 [N, H, W, 3] by their numbers [N]; black where an episode is left out."""
        parts = []
        for episode, rows in self._by_episode(numbers):
            try:
                parts.append(self.footage.images(episode, rows))
            except UserError as error:
                self.footage.leave_out(episode, error)
                parts.append(np.zeros((len(rows), *self.footage.frame_shape, 3), np.uint8))
        return np.concatenate(parts)

    def _by_episode(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Runs of frames of one episode: its index, and their rows."""
        episodes = np.searchsorted(self.starts, numbers, side="right") - 1
        for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(episodes)) + 1):
            if len(run):
                yield int(episodes[run[0]]), numbers[run] - self.starts[episodes[run[0]]]


def parse_period(text: str) -> float:
    """A period in seconds, from a number or a name in :data:`PERIODS`.

    Raises:
        UserError: It is neither, or not above 0.
    """
    if text in PERIODS:
        return PERIODS[text]
    try:
        seconds = float(text)
    except ValueError:
        raise unknown_name("period", text, [*PERIODS, "a number of seconds"]) from None
    if not 0 < seconds < float("inf"):
        raise UserError(f"A period of {text} s: expected more than 0, or one of {', '.join(PERIODS)}.")
    return seconds


def _check_period(rows: float, period: float, source: str) -> None:
    ratio = period / rows
    if ratio < 0.98 or (ratio < 3 and abs(ratio - round(ratio)) > 0.02 * ratio):
        raise UserError(
            f"{source}: its rows are {rows:.4g} s apart, so no frames are {period:.4g} s apart. Give a --period of "
            f"{rows:.4g} s, a multiple of it, or more than {3 * rows:.4g} s."
        )
