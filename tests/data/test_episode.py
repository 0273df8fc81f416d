"""Names in an episode become parts of paths: :mod:`vjepa_sim.data.episode`."""

from dataclasses import replace

import pytest

from tests.data.samples import make_episode
from vjepa_sim.data.episode import as_serial, assign_roles, is_role, is_serial
from vjepa_sim.envs.errors import UserError

BAD = [
    "",
    ".",
    "..",
    "../left",
    "a/b",
    "/etc/passwd",
    ".hidden",
    "-rf",
    "a b",
    "a\0b",
    "a\n",
    "caf\xe9",
    "a\\b",
    "x" * 65,
]


@pytest.mark.parametrize("serial", BAD)
def test_a_serial_is_one_safe_part_of_a_path(serial):
    (camera,) = make_episode().cameras
    with pytest.raises(UserError, match="serial"):
        replace(make_episode(), cameras=(replace(camera, serial=serial),))
    assert is_serial(as_serial(serial))


@pytest.mark.parametrize("serial", ["22008760", "left", "observation.images.top", "zed_2-mini", "_x"])
def test_usual_serials_stay(serial):
    assert is_serial(serial) and as_serial(serial) == serial


def test_two_cameras_need_two_serials():
    first, second, _ = make_episode(cameras=3).cameras
    with pytest.raises(UserError, match=r"serials .* one of its own"):
        replace(make_episode(cameras=3), cameras=(first, replace(second, serial=first.serial)))


def test_roles_have_a_bounded_length():
    assert is_role("wrist-left") and not is_role("x" * 65)
    assert all(map(is_role, assign_roles(["a" * 300 + "1", "b" * 300, "c" * 300], [])))
