"""Each check finds the mistake that it is for in good episodes, and nothing in the good ones."""

from dataclasses import replace

import numpy as np
import pytest

from tests.data.lint.changes import held, with_frames
from tests.data.lint.check import MemoryReader, check, names
from vjepa_sim.data.formats import open_reader
from vjepa_sim.data.lint import lint
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("view", ["left", "right"])
def test_good_episodes_have_no_findings(good, view):
    assert check(good, view) == []


def test_short_good_episodes_have_no_findings(episodes_folder):
    assert lint(open_reader(episodes_folder)) == []


def test_unreadable_episodes_are_errors_and_the_others_are_still_checked(good):
    findings = check([good[0], UserError("trajectory.h5 is damaged"), held(good[1], 0, 18)])
    assert [(each.check, each.number, each.severity) for each in findings] == [
        ("unreadable", 1, "error"),
        ("idle", 2, "warning"),
    ]
    assert "trajectory.h5 is damaged" in findings[0].what


def test_a_camera_that_is_missing_is_no_error(good):
    """Whatever doesn't need it is still checked."""
    findings = check([good[0], held(good[1], 0, 18)], "wrist")
    assert [(each.check, each.number, each.severity) for each in findings] == [
        ("no camera", 0, "warning"),
        ("no camera", 1, "warning"),
        ("idle", 1, "warning"),
    ]
    assert "'wrist'" in findings[0].what and "ext1 (left), ext2 (right)" in findings[0].what


def test_episodes_without_the_camera_are_checked_apart(good):
    """One camera less in one episode doesn't keep the others from being compared."""
    alone = replace(good[0], cameras=good[0].cameras[:1])
    rows = np.clip(np.arange(19) - 1, 0, 18)
    findings = check([alone, *(with_frames(each, rows) for each in good[1:])], "ext2")
    assert {"no camera", "frame offset"} <= names(findings)
    assert [each.number for each in findings if each.check == "no camera"] == [0]


def test_pictures_are_reduced_as_they_are_decoded():
    from vjepa_sim.data.frames import LazyFrames
    from vjepa_sim.data.motion import small_grey

    class Frames(LazyFrames):
        def _load(self, wanted):
            assert self.shape == (3, 64, 96, 3)
            for number in wanted:
                yield np.full((128, 192, 3), number, np.uint8)

    assert small_grey(Frames("somewhere", 3, 128, 192))[:, 0, 0].tolist() == [0, 1, 2]


def test_progress_ends_at_the_total(good):
    seen = []
    lint(MemoryReader(good[:3]), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 3) and seen[-1] == (3, 3)


def test_long_good_episodes_have_no_findings(long):
    assert check(long) == []
