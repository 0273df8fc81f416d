"""Check a data set for faults.

A check of single episodes is a function from a :class:`.Subject` to findings, listed in :data:`CHECKS`. A check of all
episodes together is a measurement of each and a judgement of all, listed in :data:`POOLED`. Checks that use the camera
are also listed in :data:`LOOKING`: they are skipped for episodes without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vjepa_sim.data.formats.format import Progress, Reader, no_progress
from vjepa_sim.data.lint.finding import ERROR, WARNING, Finding
from vjepa_sim.data.lint.frames import repeated_frames
from vjepa_sim.data.lint.idle import clutch_released, idle_stretches
from vjepa_sim.data.lint.images import images
from vjepa_sim.data.lint.offset import measure_following, shifted_frames
from vjepa_sim.data.lint.quarantine import plan_quarantine, quarantine
from vjepa_sim.data.lint.report import findings_rows, findings_text
from vjepa_sim.data.lint.stamps import camera_clock, differing_rates, gaps, irregular, measure_rate
from vjepa_sim.data.lint.states import conventions, jumps, kinematics, measure_extremes, units
from vjepa_sim.data.lint.subject import Subject
from vjepa_sim.data.lint.view import measure_fit, misplaced_cameras
from vjepa_sim.envs.errors import UserError

__all__ = ["CHECKS", "POOLED", "Finding", "findings_rows", "findings_text", "lint", "plan_quarantine", "quarantine"]

CHECKS: tuple[Callable[[Subject], list[Finding]], ...] = (
    units,
    jumps,
    kinematics,
    gaps,
    irregular,
    camera_clock,
    idle_stretches,
    clutch_released,
    images,
    repeated_frames,
)
POOLED: tuple[tuple[Callable[[Subject], Any], Callable[[list], list[Finding]]], ...] = (
    (measure_rate, differing_rates),
    (measure_extremes, conventions),
    (measure_following, shifted_frames),
    (measure_fit, misplaced_cameras),
)
LOOKING = (images, repeated_frames, measure_following, measure_fit)


def lint(reader: Reader, view: str = "left", on_progress: Progress = no_progress) -> list[Finding]:
    """Check every episode of a data set.

    Args:
        reader: Reader of the data set, which is not changed.
        view: Camera whose images are checked, see :meth:`.Episode.view`.
        on_progress: Called with the number of episodes done and the total.

    Returns:
        Findings about the data set as a whole, then about each episode in order, errors before warnings.
    """
    findings: list[Finding] = []
    measures: list[list[Any]] = [[] for _ in POOLED]
    on_progress(0, len(reader))
    for number, entry in enumerate(reader.entries):
        try:
            if entry.error:
                raise UserError(entry.error)
            subject = Subject(number, entry.name, reader.read(number, extras=True), view)
            found = _no_camera(subject)
            blind = bool(found)
            found += [finding for check in CHECKS if not (blind and check in LOOKING) for finding in check(subject)]
            measured = [None if blind and measure in LOOKING else measure(subject) for measure, _ in POOLED]
        except UserError as error:
            findings.append(_unreadable(number, entry.name, error))
        else:
            findings += found
            for values, value in zip(measures, measured, strict=True):
                if value is not None:
                    values.append(value)
        on_progress(number + 1, len(reader))
    for (_, judge), values in zip(POOLED, measures, strict=True):
        if values:
            findings += judge(values)
    return sorted(findings, key=_order)


def _unreadable(number: int, name: str, error: UserError) -> Finding:
    return Finding(
        check="unreadable",
        episode=name,
        number=number,
        row=None,
        severity=ERROR,
        what=str(error),
        remedy="Restore the file from its source, convert the recording again, or leave the episode out "
        "(--quarantine).",
    )


def _no_camera(subject: Subject) -> list[Finding]:
    """A finding if the episode lacks the camera to be checked; otherwise it may be a good one."""
    try:
        subject.episode.view(subject.view)
    except UserError:
        cameras = ", ".join(f"{camera.role} ({camera.serial})" for camera in subject.episode.cameras)
        return [
            subject.finding(
                "no camera",
                WARNING,
                f"it has no camera {subject.view!r}; there is {cameras}",
                remedy="Check another camera (--camera). Where this one is wanted, leave the episode out.",
            )
        ]
    return []


def _order(finding: Finding) -> tuple[int, int]:
    return (-1 if finding.number is None else finding.number, (ERROR, WARNING).index(finding.severity))
