"""What a robot's camera must not send."""

import numpy as np
import pytest

from vjepa_sim.envs.cameras.image_check import FrozenCheck, ImageWatch, image_fault, reduced_grey
from vjepa_sim.envs.faults import BlindCamera

HERE = np.array([0.5, 0.0, 0.3])


def scene(seed=0, size=(48, 64)):
    return np.random.default_rng(seed).integers(40, 220, (*size, 3), np.uint8)


@pytest.mark.parametrize(
    ("rgb", "fault"),
    [
        (np.zeros((480, 640, 3), np.uint8), "black"),
        (np.full((480, 640, 3), 20, np.uint8), "nearly dark"),
        (np.full((720, 1280, 3), 255, np.uint8), "white"),
        (np.full((32, 32, 3), (0, 0, 255), np.uint8), "of one colour"),
        (scene(), ""),
    ],
)
def test_what_an_image_shows(rgb, fault):
    assert image_fault(reduced_grey(rgb)) == fault


def test_noise_and_a_printed_stamp_do_not_light_up_a_black_image():
    rgb = np.random.default_rng(0).integers(0, 8, (480, 640, 3), np.uint8)
    rgb[:20, :100] = 255
    assert image_fault(reduced_grey(rgb)) == "black"


def test_only_motion_counts_for_a_frozen_image():
    check, grey = FrozenCheck(), reduced_grey(scene())
    assert all(check.add(grey, HERE) == 0 for _ in range(100))
    assert check.add(grey, HERE + [0.06, 0, 0]) == pytest.approx(0.06)
    assert check.add(reduced_grey(scene(1)), HERE + [0.12, 0, 0]) == 0


def test_an_episode_ends_with_a_sentence():
    watch = ImageWatch("camera 0")
    for step in range(5):
        watch.check(scene(step), HERE + [0.05 * step, 0, 0])
    with pytest.raises(BlindCamera, match="camera 0 is black"):
        watch.check(scene() * 0, HERE)
    with pytest.raises(BlindCamera, match="64 × 32 pixels, before it sent 64 × 48"):
        watch.check(scene(size=(32, 64)), HERE)
    watch.begin()
    watch.check(scene(), HERE)
    with pytest.raises(BlindCamera, match="not changed while the flange moved by 12 cm") as raised:
        watch.check(scene(), HERE + [0.12, 0, 0])
    assert raised.value.measured == pytest.approx(0.12)
