"""Summary of a data set in numbers."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.format import Progress, Reader, no_progress
from vjepa_sim.data.motion import IDLE_RULE, idle
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import GRIPPER, difference

SAMPLE = 200  # episodes measured; enough for the idle share to about one percent
SEED = 0  # seed of the sample, so that two summaries of the same data agree
NAMED = 5  # unreadable episodes, tasks and kinds of errors shown
REASON, LINE = 100, 120  # characters of a reason and of a line
AXES = ("x [m]", "y [m]", "z [m]", "roll [rad]", "pitch [rad]", "yaw [rad]", "closedness")
HALF_CLOSED, HYSTERESIS = 0.5, 0.1  # closedness: closed above 0.6, open below 0.4


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A data set in numbers: counts over all episodes, measurements over a sample of the readable ones.

    Attributes:
        path, format: Path and format of the data set.
        episodes, readable: Number of all and of readable episodes.
        unreadable: Reasons and their counts, the most frequent first; from the index and from the sample.
        unreadable_names: Names of the first unreadable episodes.
        hours, rows: Total length of the readable episodes.
        period: Seconds between two rows: median, 5th and 95th percentile of the episodes' periods.
        cameras: Number of episodes by camera role.
        sizes: Number of episodes by "width × height" of the first camera.
        successes, judged: Number of successful episodes, and of episodes with known success.
        tasks: Number of episodes by task, for the most frequent tasks.
        task_count: Number of different tasks.
        arms, grippers: Numbers of episodes by arm and by gripper.
        sampled: Number of episodes measured.
        view: Camera that a measured episode must have.
        actions: By dimension, over one row as stored: ``mean``, ``std``, ``p1``, ``p99``, ``max_abs``; see
            :func:`.difference`. Empty if nothing was measured.
        idle: Share of idle steps, see :data:`.IDLE_RULE`; None if nothing was measured.
        closings, openings: Mean number of gripper closings and openings in an episode; None if nothing was measured.
    """

    path: str
    format: str
    episodes: int
    readable: int
    unreadable: dict[str, int]
    unreadable_names: tuple[str, ...]
    hours: float
    rows: int
    period: tuple[float, float, float]
    cameras: dict[str, int]
    sizes: dict[str, int]
    successes: int
    judged: int
    tasks: dict[str, int]
    task_count: int
    arms: dict[str, int]
    grippers: dict[str, int]
    sampled: int
    view: str
    actions: dict[str, dict[str, float]]
    idle: float | None
    closings: float | None
    openings: float | None

    def to_dict(self) -> dict[str, Any]:
        """The summary as a JSON-compatible dictionary."""
        return asdict(self) | {"unreadable_names": list(self.unreadable_names), "period": list(self.period)}


def summarize(
    reader: Reader, view: str = "left", episodes: int | None = SAMPLE, on_progress: Progress = no_progress
) -> Summary:
    """Count all episodes by the index, and measure a sample of them.

    Args:
        reader: Reader of the data set.
        view: Camera that a measured episode must have, see :meth:`.Episode.view`.
        episodes: Number of episodes to measure; None means all.
        on_progress: Called with the number of episodes measured and the total to measure.

    Raises:
        UserError: ``episodes`` is less than 1.
    """
    if episodes is not None and episodes < 1:
        raise UserError(f"{episodes} episodes can't be measured; give at least 1.")
    broken = {number: entry.error for number, entry in enumerate(reader.entries) if entry.error}
    whole = [number for number in range(len(reader)) if number not in broken]
    measured = _read_sample(reader, _sample(whole, episodes), view, broken, on_progress)
    entries = [entry for number, entry in enumerate(reader.entries) if number not in broken]
    periods = [entry.period for entry in entries if entry.period > 0]
    median, low, high = np.percentile(periods, [50, 5, 95]).tolist() if periods else (0.0, 0.0, 0.0)
    steps = np.concatenate([each.steps for each in measured]) if measured else np.empty((0, 7))
    tasks = Counter(entry.task or "(none)" for entry in entries)
    return Summary(
        path=str(reader.root),
        format=reader.format,
        episodes=len(reader),
        readable=len(entries),
        unreadable=dict(Counter(_reason(text, reader, number) for number, text in broken.items()).most_common()),
        unreadable_names=tuple(reader.entries[number].name for number in sorted(broken)[:NAMED]),
        hours=sum(entry.duration for entry in entries) / 3600,
        rows=sum(entry.rows for entry in entries),
        period=(median, low, high),
        cameras=dict(sorted(Counter(role for entry in entries for role in entry.cameras).items())),
        sizes=dict(Counter(f"{entry.width} × {entry.height}" for entry in entries if entry.width).most_common()),
        successes=sum(entry.success is True for entry in entries),
        judged=sum(entry.success is not None for entry in entries),
        tasks=dict(tasks.most_common(NAMED)),
        task_count=len(tasks),
        arms=dict(Counter(entry.arm or "(unknown)" for entry in entries).most_common()),
        grippers=dict(Counter(entry.gripper or "(unknown)" for entry in entries).most_common()),
        sampled=len(measured),
        view=view,
        actions=_statistics(steps),
        idle=float(idle(steps).mean()) if measured else None,
        closings=float(np.mean([each.closings for each in measured])) if measured else None,
        openings=float(np.mean([each.openings for each in measured])) if measured else None,
    )


@dataclass(frozen=True)
class _Measured:
    steps: np.ndarray
    closings: int
    openings: int


def _sample(numbers: list[int], count: int | None) -> list[int]:
    if count is None or count >= len(numbers):
        return numbers
    return sorted(np.random.default_rng(SEED).choice(numbers, count, replace=False).tolist())


def _read_sample(
    reader: Reader, numbers: list[int], view: str, broken: dict[int, str], on_progress: Progress
) -> list[_Measured]:
    """Measure episodes; unreadable ones are added to ``broken``."""
    measured = []
    on_progress(0, len(numbers))
    for done, number in enumerate(numbers, 1):
        try:
            measured.append(_measure(reader.read(number, (view,))))
        except UserError as error:
            broken[number] = str(error)
        on_progress(done, len(numbers))
    return measured


def _measure(episode: Episode) -> _Measured:
    closings, openings = gripper_events(episode.states[:, GRIPPER])
    return _Measured(difference(episode.states[:-1], episode.states[1:]), closings, openings)


def gripper_events(closedness: np.ndarray) -> tuple[int, int]:
    """Number of gripper closings and openings in closedness [T]; small changes around the middle don't count."""
    sides = np.where(closedness > HALF_CLOSED + HYSTERESIS, 1, np.where(closedness < HALF_CLOSED - HYSTERESIS, -1, 0))
    changes = np.diff(sides[sides != 0])
    return int((changes > 0).sum()), int((changes < 0).sum())


def _statistics(steps: np.ndarray) -> dict[str, dict[str, float]]:
    if not len(steps):
        return {}
    low, high = np.percentile(steps, [1, 99], axis=0)
    table = {"mean": steps.mean(0), "std": steps.std(0), "p1": low, "p99": high, "max_abs": np.abs(steps).max(0)}
    return {axis: {name: float(values[i]) for name, values in table.items()} for i, axis in enumerate(AXES)}


def _reason(text: str, reader: Reader, number: int) -> str:
    """An error message without names, so that equal reasons are counted together."""
    for name in (str(reader.root / reader.entries[number].name), str(reader.root), reader.entries[number].name):
        text = text.replace(name, "")
    return textwrap.shorten(text.lstrip(" :/"), REASON, placeholder="…")


# --- plain text -----------------------------------------------------------------------------------------------


def text(summary: Summary) -> str:
    """A summary as plain text, which is also Markdown."""
    lines = [f"# {summary.path} ({summary.format})", ""]
    for name, value in _facts(summary):
        if value:
            lines += textwrap.wrap(f"- {name + ':':<18}{value}", LINE, subsequent_indent=" " * 20)
    if summary.actions:
        lines += ["", f"Actions over one row as stored, measured on {summary.sampled} episodes:", ""]
        columns = ("mean", "std", "p1", "p99", "max_abs")
        header = ("dimension", "mean", "std", "1 %", "99 %", "largest")
        lines += _table(
            header, [(axis, *(f"{row[name]:+.4f}" for name in columns)) for axis, row in summary.actions.items()]
        )
        lines += ["", f"Idle: {IDLE_RULE}."]
    return "\n".join(lines)


def _facts(summary: Summary) -> list[tuple[str, str]]:
    median, low, high = summary.period
    unread = summary.episodes - summary.readable
    of_sample = f"(of {summary.sampled} episodes measured)"
    return [
        ("episodes", f"{summary.episodes}, {summary.readable} readable" if unread else f"{summary.episodes}"),
        ("unreadable", "; ".join(f"{count} × {reason}" for reason, count in list(summary.unreadable.items())[:NAMED])),
        ("first unreadable", ", ".join(summary.unreadable_names)),
        ("length", f"{summary.hours:.2f} h, {summary.rows} rows"),
        ("period", f"{median:.4f} s (5 to 95 %: {low:.4f} to {high:.4f} s)" if median else ""),
        ("cameras", _counted(summary.cameras)),
        ("images", _counted(summary.sizes)),
        (
            "success",
            f"{summary.successes / summary.judged:.1%} of {summary.judged} judged" if summary.judged else "unknown",
        ),
        ("tasks", f"{summary.task_count} different; " + _counted(summary.tasks) if summary.readable else ""),
        ("arms", _counted(summary.arms)),
        ("grippers", _counted(summary.grippers)),
        ("idle steps", "" if summary.idle is None else f"{summary.idle:.1%} {of_sample}"),
        (
            "gripper events",
            ""
            if summary.closings is None
            else f"{summary.closings:.2f} closings, {summary.openings:.2f} openings an episode {of_sample}",
        ),
    ]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "| " + " | ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)) + " |"
        for row in (header, *rows)
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
