"""Which frames of a camera's shared video files are an episode's: found by time, and checked against each other."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from vjepa_sim.data.formats.lerobot.clock import nominal_times, rate_of
from vjepa_sim.data.formats.lerobot.layout import EPISODES, INFO
from vjepa_sim.data.video import frame_times
from vjepa_sim.envs.errors import UserError

HALF = 0.5  # frames: largest distance of a row's frame from the row's time
ON_A_FRAME = 0.1  # frames: largest distance of an episode's start from a frame
MAX_LOST = 0.1  # largest share of an episode's rows without a frame; one always may be
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The parts of a camera's video files that a data set's episodes claim.

    Attributes:
        camera: Name of the feature.
        fps: Rows per second, by meta/info.json.
        episodes, lengths: int64 [N], index and number of rows of each episode.
        files: int64 [N], equal for episodes in one file.
        starts: float64 [N], seconds from the start of the file.
        stops: float64 [N], the same for their ends; NaN where unknown.
    """

    camera: str
    fps: float
    episodes: np.ndarray
    lengths: np.ndarray
    files: np.ndarray
    starts: np.ndarray
    stops: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """Ends of the parts, by the rows where unknown, float64 [N]."""
        return np.where(np.isfinite(self.stops), self.stops, self.starts + self.lengths / self.fps)

    def overlaps(self) -> dict[int, str]:
        """Episodes whose frames another one claims, too, and later ones in their files; by number, with the reason."""
        order = np.lexsort((self.starts, self.files))
        files, starts, ends = self.files[order], self.starts[order], self.ends[order]
        _, ranks = np.unique(files, return_inverse=True)
        shift = ranks * (np.nanmax(ends, initial=0.0) + 1)  # one timeline for all files
        reach = np.maximum.accumulate(ends + shift)
        farthest = np.maximum.accumulate(np.where(ends + shift >= reach, np.arange(len(order)), 0))
        found: dict[int, str] = {}
        for place in np.flatnonzero((starts + shift)[1:] < reach[:-1] - HALF / self.fps) + 1:
            other = int(farthest[place - 1])
            one, two = sorted((int(self.episodes[order[other]]), int(self.episodes[order[place]])))
            first = round(starts[place] * self.fps)
            last = round(min(ends[place], ends[other]) * self.fps) - 1
            reason = f"episodes {one} and {two} claim frames {first} to {last}"
            # After an error in the offsets, none in that file can be relied on.
            later = np.flatnonzero((files == files[place]) & (np.arange(len(order)) > place))
            for each in (other, int(place), *later.tolist()):
                found.setdefault(int(order[each]), reason)
        return found

    def frames(self, number: int, path: Path, times: np.ndarray) -> np.ndarray:
        """Numbers [T] of the file's frames that show an episode's rows; -1 for rows without a frame.

        Args:
            number: Place of the episode in these arrays.
            path: Path of its video file.
            times: Seconds [T] since the episode's first row, see :func:`.measured_times`. A video with one frame for
                each row may have been written at the nominal rate nevertheless.

        Raises:
            UserError: Times of rows, of the episodes and of the frames contradict each other.
        """
        stamps = self._timeline(path, self.files == self.files[number])
        found = [self._nearest(number, stamps, each) for each in self._clocks(number, times)]
        numbers = min(found, key=lambda each: np.count_nonzero(each < 0))
        lost = np.flatnonzero(numbers < 0)
        if len(lost) > max(1, MAX_LOST * len(times)):
            raise UserError(
                f"{path}: the video has no frames at the times of {len(lost)} of {len(times)} rows, first of row "
                f"{lost[0]}."
            )
        return numbers

    def _clocks(self, number: int, times: np.ndarray) -> list[np.ndarray]:
        """Times of rows with which the episode is as long as its part of the video."""
        nominal = nominal_times(len(times), self.fps)
        part = float(self.ends[number] - self.starts[number])
        fitting = []
        for clock in (nominal, times):
            period = 1 / rate_of(clock)
            if abs(clock[-1] + period - part) <= max(1, 0.02 * len(clock)) * period:
                fitting.append(clock)
        if not fitting:
            raise UserError(
                f"{EPISODES}: its video of {self.camera} lasts {part:.4g} s; its {len(times)} rows don't, neither with "
                f"{INFO}'s fps, {self.fps:.4g}, nor by timestamp, {rate_of(times):.4g} rows per second. Correct them."
            )
        return fitting

    def _nearest(self, number: int, stamps: np.ndarray, times: np.ndarray) -> np.ndarray:
        spacing = min(_spacing(stamps, self.fps), 1 / rate_of(times))
        wanted = self.starts[number] + times
        numbers = _nearest(stamps, wanted)
        begin, end = (each - HALF * spacing for each in (self.starts[number], self.ends[number]))
        there = (np.abs(stamps[numbers] - wanted) <= HALF * spacing) & (stamps[numbers] >= begin)
        there &= stamps[numbers] < end
        there[1:] &= numbers[1:] > np.maximum.accumulate(numbers)[:-1]
        return np.where(there, numbers, -1)

    def _timeline(self, path: Path, mine: np.ndarray) -> np.ndarray:
        """Seconds [N] of a file's frames, on the timeline of the episodes that claim it.

        Raises:
            UserError: The file has too few frames for them, or they don't begin where frames do.
        """
        stamps = frame_times(path)
        spacing, claimed = _spacing(stamps, self.fps), float(self.ends[mine].max())
        end = float(stamps[-1]) + spacing
        if abs(end - claimed) > HALF * spacing and len(stamps) == round(claimed * self.fps) and _is_even(stamps):
            # One frame for each row; only the container's rate is wrong.
            _warn_once(path, 1 / spacing, self.fps, len(stamps))
            return np.arange(len(stamps)) / self.fps
        if end < claimed - HALF * spacing:
            raise UserError(
                f"{path}: the video has {len(stamps)} frames and lasts {end:.4g} s; its episodes claim "
                f"{claimed:.4g} s, and which frames lack isn't known. Restore the file."
            )
        starts = self.starts[mine]
        off = np.abs(stamps[_nearest(stamps, starts)] - starts) / spacing
        wrong = np.flatnonzero((off > ON_A_FRAME) & (off <= HALF))
        rows = np.abs((self.ends[mine] - starts) * self.fps - self.lengths[mine])
        if len(wrong):
            raise UserError(
                f"{path}: episode {self.episodes[mine][wrong[0]]} begins at {starts[wrong[0]]:.6g} s, between two "
                f"frames of {1 / spacing:.4g} per second; the starts in {EPISODES} don't fit the video."
            )
        if end > claimed + HALF * spacing and rows.max() > HALF:
            raise UserError(
                f"{path}: the video lasts {end:.4g} s, its episodes claim {claimed:.4g} s of it, and episode "
                f"{self.episodes[mine][rows.argmax()]} another time than its rows take; {EPISODES} doesn't fit it."
            )
        return stamps


@cache
def _warn_once(path: Path, rate: float, fps: float, frames: int) -> None:
    log.warning(
        "%s has %.4g frames per second, the data set %.4g; its %d frames are taken as one for each row.",
        *(path, rate, fps, frames),
    )


def _spacing(stamps: np.ndarray, fps: float) -> float:
    return float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1 / fps


def _is_even(stamps: np.ndarray) -> bool:
    gaps = np.diff(stamps)
    return bool(len(gaps) and np.ptp(gaps) <= 0.1 * np.median(gaps))


def _nearest(stamps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Numbers of the frames nearest to times."""
    after = np.clip(np.searchsorted(stamps, times), 1, max(1, len(stamps) - 1))
    before = after - 1
    after = np.minimum(after, len(stamps) - 1)
    return np.where(times - stamps[before] <= stamps[after] - times, before, after)
