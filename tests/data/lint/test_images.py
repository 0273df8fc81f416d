"""Cameras that saw nothing."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.data.lint.changes import with_frames
from tests.data.lint.check import check, names
from vjepa_sim.data.lint.finding import ERROR

pytestmark = pytest.mark.slow


def with_images(episode, change):
    return replace(
        episode, cameras=tuple(replace(camera, frames=change(camera.frames.copy())) for camera in episode.cameras)
    )


def from_the_middle_on(value):
    def change(frames):
        frames[len(frames) // 2 :] = value
        return frames

    return change


DEAD = {
    "black": lambda frames: frames // 32,
    "nearly dark": lambda frames: frames // 10,
    "white": lambda frames: 250 + frames // 64,
    "of one colour": lambda frames: 120 + frames // 64,
    "do(es)? not change": lambda frames: np.repeat(frames[:1], len(frames), 0),
}


@pytest.mark.parametrize("what", DEAD)
def test_a_dead_camera_is_an_error_in_every_episode_though_all_are_alike(good, what):
    found = [each for each in check([with_images(episode, DEAD[what]) for episode in good]) if each.check == "images"]
    assert [each.number for each in found] == list(range(len(good)))
    assert {each.severity for each in found} == {ERROR}
    assert all(re.search(what, each.what) for each in found)


@pytest.mark.parametrize("value", [0, 255])
def test_a_camera_that_dies_on_the_way_is_found(good, value):
    (found,) = [each for each in check([with_images(good[0], from_the_middle_on(value))]) if each.check == "images"]
    assert (found.severity, found.row) == (ERROR, len(good[0]) // 2)


def test_a_camera_that_freezes_on_the_way_is_found(long):
    rows = np.minimum(np.arange(len(long[0])), len(long[0]) // 2)
    (found,) = [each for each in check([with_frames(long[0], rows)]) if each.check == "images"]
    assert found.severity == ERROR and abs(found.row - len(long[0]) // 2) <= 1


def test_a_camera_at_a_third_of_the_rate_is_found(long):
    """More than half of the rows repeat the one before, so that the median change is 0."""
    rows = np.arange(len(long[0])) // 3 * 3
    assert "repeated frames" in names(check([with_frames(long[0], rows)]))


def test_good_cameras_are_left_alone(good, long):
    assert not {"images", "repeated frames"} & names(check([*good, *long]))
