from dataclasses import replace

import numpy as np
import pytest

from tests.data.lint.changes import with_frames
from tests.data.lint.check import check, names

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lag", [-2, -1, 1, 2])
def test_frames_in_the_wrong_rows(good, lag):
    rows = np.clip(np.arange(19) - lag, 0, 18)
    findings = [each for each in check([with_frames(each, rows) for each in good]) if each.check == "frame offset"]
    assert findings[0].severity == "error" and findings[0].number is None
    assert f"{abs(lag)} row" in findings[0].what and ("late" if lag > 0 else "early") in findings[0].what


def test_one_episode_with_frames_in_the_wrong_rows(good):
    rows = np.clip(np.arange(19) - 2, 0, 18)
    findings = [each for each in check([with_frames(good[0], rows), *good[1:]]) if each.check == "frame offset"]
    assert [each.number for each in findings] == [0]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_frames_lost_inside_a_video(long, lost):
    rows = np.arange(60)
    rows[30:] = np.minimum(rows[30:] + lost, 59)
    (finding,) = [each for each in check([with_frames(long[0], rows)]) if each.check in ("lost frames", "frame offset")]
    assert (finding.check, finding.severity, finding.row) == ("lost frames", "warning", 29)
    assert f"about {lost} frame{'s were' if lost > 1 else ' was'} lost in between" in finding.what
    assert f"{lost} row{'s' if lost > 1 else ''} early against the states from there on" in finding.what


ROBOT, CAMERA = "observation/timestamp/robot_state/read_start", "observation/timestamp/cameras/22008760_"


def clocked(episode, apart, event="frame_received", robot=True):
    """With DROID's clocks: the robot's among the extras, or as the episode's own; the camera's ``apart`` ms from it."""
    rows = np.arange(len(episode))
    milliseconds = 1_700_000_000_000 + 67 * rows
    own = {"extras": {ROBOT: milliseconds}, "stamps": rows * 0.067} if robot else {"stamps": milliseconds / 1000}
    extras = {**own.pop("extras", {}), CAMERA + event: (milliseconds + np.asarray(apart)).round().astype(np.int64)}
    return replace(episode, extras=extras, **own)


@pytest.mark.parametrize("robot", [True, False])
@pytest.mark.parametrize("event", ["frame_received", "estimated_capture"])
def test_camera_clocks(good, event, robot):
    def found(apart):
        findings = check([clocked(good[0], apart, event, robot)])
        return [each for each in findings if each.check.startswith("camera clock")]

    rng = np.random.default_rng(0)
    assert found(20 + rng.uniform(0, 17, 19)) == [], "a camera at 60 Hz that nobody triggers"
    assert found(-100 * np.eye(19)[18]) == [], "a single late row"
    (drift,) = found(np.arange(19) * 2.5)
    assert (drift.check, drift.severity, drift.row) == ("camera clock drift", "warning", 14)
    assert "camera 22008760 gain 4" in drift.what and "45 ms" in drift.what
    (offset,) = found(np.full(19, -200))
    assert (offset.check, offset.severity, offset.row) == ("camera clock offset", "warning", 0)
    assert "200 ms before the robot" in offset.what


def test_clocks_that_can_not_be_compared_are_left_alone(good):
    """Rows without the robot's clock count from some moment of their own; words and gaps are no stamps."""
    episode = clocked(good[0], np.arange(19) * 10.0)
    camera = CAMERA + "frame_received"
    extras = [
        {camera: episode.extras[camera]},
        {ROBOT: episode.extras[ROBOT], camera: np.array(["late"] * 19)},
        {ROBOT: episode.extras[ROBOT], camera: np.where(np.arange(19) == 3, np.nan, episode.extras[camera])},
    ]
    for each in extras:
        assert not any(name.startswith("camera clock") for name in names(check([replace(episode, extras=each)])))
