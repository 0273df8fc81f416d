"""Clips of robot episodes, drawn by time: their frames lie one control period apart, whatever the recording's rate."""

from __future__ import annotations

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
}  # s: what V-JEPA 2-AC's paper says, and what its released recipe did to DROID
HELD_OUT = 0.05  # share of the episodes that is kept out of training, at least one
CHECKED = 8  # so few held-out episodes are looked at beforehand: if they were bad, nothing could be measured
# Shares of pairs whose goal is an episode's end, and of those at whose goal the fingers begin or stop to move.
ENDINGS, TURNS = 0.45, 0.3
NEAR_TURN = 8  # periods from such a goal, at most: what matters happens there
TRIES = 1000  # draws, one after another, that may meet bad episodes and gaps


@dataclass(frozen=True)
class Sample:
    """Frames picked at random, to look at or to probe.

    Attributes:
        frames: uint8 [N, H, W, 3].
        states: float32 [N, 7].
        objects: float32 [N, 3], see :class:`.Motion`.
        episodes: int64 [N], the number of each frame's episode.
    """

    frames: np.ndarray
    states: np.ndarray
    objects: np.ndarray
    episodes: np.ndarray


@dataclass(frozen=True)
class _Found:
    """A clip, and where it was found.

    Attributes:
        clip: what was asked for.
        drawn: the draw that it came from.
        motion: its episode's.
        times: float64 [T], seconds.
        commanded: float32 [rows, 7], the commands that lead to the draw's goal, of every row of the episode.
    """

    clip: RobotClip
    drawn: Draw
    motion: Motion
    times: np.ndarray
    commanded: np.ndarray


class Clips:
    """Episodes of one data set as a source of clips.

    Small data sets are decoded into memory by :meth:`load`; of others only the frames that are asked for are decoded.
    What is drawn doesn't depend on that, nor on which bad episodes have been met before.

    Attributes:
        period: seconds between two frames.
        footage: the episodes.
        lengths: int64 [E], rows of the episodes.
        starts: int64 [E], number of each episode's first frame when all frames are counted through.
        training_episodes, held_out_episodes: their numbers.
    """

    def __init__(
        self, reader: Reader, period: float, *, view: str = "left", short_side: int | None = None, source: str = ""
    ):
        """
        Args:
            reader: of the data set.
            period: seconds.
            view: which camera, see :meth:`.Episode.view`.
            short_side: larger pictures are reduced to this height or width, whichever is less, in pixels.
            source: how the user called the data set.

        Raises:
            UserError: too many episodes are bad, fewer than 2 are good, or the rows are too far apart for the period.
        """
        self.period, self.footage = period, Footage(reader, view, short_side)
        self._source, self._view = source or f"{reader.format}:{reader.root}", view
        entries = self.footage.entries
        self.lengths = np.array([entry.rows for entry in entries])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self._durations = np.array([entry.duration for entry in entries])
        _check_period(float(np.median([entry.period for entry in entries])), period, self._source)
        self.held_out_episodes, self.training_episodes = self._hold_out()
        self._excluded: set[int] = set()
        self._rooms: dict[tuple[int, int, bool, bool], tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        """Frames in all."""
        return int(self.lengths.sum())

    @property
    def record(self) -> dict:
        """What the data are, for the card; JSON-compatible."""
        entries = self.footage.entries
        return {
            "sources": [self._source],
            "view": self._view,
            "period": self.period,
            "episodes": len(entries),
            "frames": len(self),
            "grippers": sorted({entry.gripper for entry in entries if entry.gripper}),
            "seeds": [entry.seed for entry in entries if entry.seed is not None],
            "left_out": sorted(self.footage.left_out.reasons),
        }

    @property
    def identity(self) -> dict:
        """What a resumed run compares to know that the data are still the same, JSON-compatible."""
        record = self.record
        told = {name: record[name] for name in ("sources", "view", "period", "episodes", "frames")}
        return {**told, "seeds_crc32": zlib.crc32(repr(record["seeds"]).encode())}

    def load(self, budget: float, threads: int, on_progress: Progress = no_progress) -> bool:
        """Decode everything into memory, if it fits; see :meth:`.Footage.load`."""
        return self.footage.load(budget, threads, on_progress)

    def exclude(self, names: set[str]) -> None:
        """Draw no clip of these episodes from now on."""
        self._excluded = {episode for episode, entry in enumerate(self.footage.entries) if entry.name in names}

    # --- drawing ----------------------------------------------------------------------------------------------

    def check_span(self, frames: int, stride: int = 1) -> None:
        """Refuse clips that are longer than every episode, of training or held out, before a run has begun.

        Raises:
            UserError: it names the longest episode.
        """
        span = (frames - 1) * stride * self.period
        if self._longest < span * (1 - 1e-6):
            raise UserError(
                f"{self._source}: a clip of {frames} frames spans {span:.4g} s, and the longest episodes (to learn "
                f"from, and held out) last {self._longest:.4g} s. Take longer ones, or a shorter period than "
                f"{self.period} s."
            )

    def draw_clip(
        self, rng: np.random.Generator, frames: int, stride: int = 1, *, held_out: bool = False, pictures: bool = True
    ) -> RobotClip:
        """A random clip; every possible clip is about equally likely.

        The first frame is a row of the recording, the others lie whole periods later. States are those of just these
        times, between rows if need be; pictures are of the nearest rows, half a row off at most.

        Args:
            rng: equal ones give equal clips.
            frames: of the clip.
            stride: periods from one frame to the next.
            held_out: from the episodes that training never sees.
            pictures: whether they are decoded.

        Raises:
            UserError: no episode is long enough, too many are bad, or no clip without gaps is found.
        """
        draw_episode = self._episodes_with_room(frames, stride, held_out)
        return self._first_good(frames, pictures, lambda: Draw(draw_episode(rng), stride, "any", rng.random())).clip

    def draw_pair(
        self, rng: np.random.Generator, farthest: int, *, held_out: bool = False, pictures: bool = True, chunk: int = 0
    ) -> GoalPair:
        """A random moment of an episode that solved its task, and a goal: the same moment or a later one, to which led
        what was done between.

        Often the goal is the episode's last moment, where its task was achieved: that is what goals are like, and the
        commands of such a pair are what was meant toward it. Toward any other moment they are what was done on purpose:
        noise, mistakes and detours led there too, and shouldn't be learned. More than half of those are moments at
        which the fingers begin or stop to move, such as sub-goals show: around the object with open hands, and with
        closed ones. Where the goal is the moment itself, the command is to stay. If no episode says that it solved its
        task, all are taken.

        Args:
            rng: equal ones give equal pairs.
            farthest: periods between the two, at most; every number that there is room for is equally likely, but where
                the fingers turn the two lie within a few periods.
            held_out: from the episodes that training never sees.
            pictures: whether they are decoded.
            chunk: periods of which the clip tells what was done; after the goal it is to stay.

        """
        draw_episode = self._episodes_with_room(2, 1, held_out, solved=True)

        def draw() -> Draw:
            episode = draw_episode(rng)
            room = int(self._durations[episode] / self.period * (1 + 1e-6))
            kind = str(rng.choice(["end", "turn", "any"], p=[ENDINGS, TURNS, 1 - ENDINGS - TURNS]))
            far = min(farthest, room, NEAR_TURN) if kind == "turn" else min(farthest, room)
            return Draw(episode, int(rng.integers(0, far, endpoint=True)), kind, rng.random())

        found = self._first_good(2, pictures, draw)
        times, following = found.times, None
        if chunk:
            following = chunk_at(
                found.motion, found.commanded, begin=times[0], goal=times[-1], length=chunk, period=self.period
            )
        return GoalPair(**vars(found.clip), stride=found.drawn.stride, chunk=following)

    def _first_good(self, frames: int, pictures: bool, draw: Callable[[], Draw]) -> _Found:
        """The first clip without gaps of those drawn."""
        reason: object = "the recordings have too many gaps; `vjepa-sim lint` lists them"
        span = 0.0
        for _ in range(TRIES):
            # A draw that fails takes as many random numbers as one that doesn't: when it was found bad makes no
            # difference.
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
                shown = self.footage.pictures(episode, rows) if pictures else None
            except UserError as error:
                reason = error
                self.footage.leave_out(episode, error)
                continue
            # To stay is to be sent again where the arm was sent before.
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
        raise UserError(f"{self._source}: {TRIES} draws found no clip of {frames} frames {span:.4g} s apart: {reason}")

    @cached_property
    def _longest(self) -> float:
        """Seconds that the longest episode lasts, to learn from or held out, whichever is less."""
        return min(self._durations[episodes].max() for episodes in (self.training_episodes, self.held_out_episodes))

    def _hold_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Episodes that are kept out of training, and the others.

        They are drawn, not counted off: collections cycle through tasks, and every task should be held out from.
        """
        order = np.random.default_rng(0).permutation(len(self.lengths)).tolist()
        count = max(1, round(HELD_OUT * len(order)))
        held_out = order[:count]
        if count <= CHECKED:
            good = (episode for episode in order if self._is_readable(episode))
            held_out = [episode for _, episode in zip(range(count), good, strict=False)]
        if not held_out or len(held_out) == len(order):
            raise UserError(f"{self._source}: too few episodes can be read to hold one out.")
        return np.sort(held_out), np.array(sorted(set(order) - set(held_out)))

    def _is_readable(self, episode: int) -> bool:
        try:
            self.footage.pictures(episode, np.arange(self.lengths[episode]))
        except UserError as error:
            self.footage.leave_out(episode, error)
            return False
        return True

    def _episodes_with_room(
        self, frames: int, stride: int, held_out: bool, solved: bool = False
    ) -> Callable[[np.random.Generator], int]:
        """A function that draws an episode, in proportion to how many such clips it has room for."""
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
        """Random frames of all good episodes, in order; fewer if there are fewer."""
        numbers = np.sort(rng.choice(len(self), min(count, len(self)), replace=False))
        parts = []
        for episode, rows in self._by_episode(numbers):
            try:
                motion = self.footage.motion(episode)
                states = motion.states[rows].astype(np.float32)
                parts.append((self.footage.pictures(episode, rows), states, motion.objects[rows], rows * 0 + episode))
            except UserError as error:
                self.footage.leave_out(episode, error)
        return Sample(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def frames_at(self, numbers: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] of frames by their numbers [N]; black where an episode is left out."""
        parts = []
        for episode, rows in self._by_episode(numbers):
            try:
                parts.append(self.footage.pictures(episode, rows))
            except UserError as error:
                self.footage.leave_out(episode, error)
                parts.append(np.zeros((len(rows), *self.footage.frame_shape, 3), np.uint8))
        return np.concatenate(parts)

    def _by_episode(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Runs of frames of one episode: its number and their rows."""
        episodes = np.searchsorted(self.starts, numbers, side="right") - 1
        for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(episodes)) + 1):
            if len(run):
                yield int(episodes[run[0]]), numbers[run] - self.starts[episodes[run[0]]]


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


def _check_period(rows: float, period: float, source: str) -> None:
    ratio = period / rows
    if ratio < 0.98 or (ratio < 3 and abs(ratio - round(ratio)) > 0.02 * ratio):
        raise UserError(
            f"{source}: its rows are {rows:.4g} s apart, which gives no frames {period:.4g} s apart. Give a "
            f"--period of {rows:.4g} s, a multiple of it, or more than {3 * rows:.4g} s."
        )
