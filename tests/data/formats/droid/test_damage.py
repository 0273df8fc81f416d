"""Damage is named."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.samples import damage, make_episode
from vjepa_sim.data.formats.droid import DroidReader, read_episode, write_episode
from vjepa_sim.envs.errors import UserError


def break_metadata(folder):
    next(folder.glob("*.json")).write_text('{"left_mp4_path": ')


def break_video(folder):
    video = folder / "recordings" / "MP4" / "left.mp4"
    video.write_bytes(video.read_bytes()[:100])


def break_rows(folder):
    path = folder / "trajectory.h5"
    path.write_bytes(path.read_bytes()[:2000])


def lose_video(folder):
    (folder / "recordings" / "MP4" / "left.mp4").unlink()


def odd_metadata(folder):
    path = next(folder.glob("metadata_*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "vjepa_sim": None}))


def odd_success(folder):
    path = next(folder.glob("metadata_*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "success": "false"}))


def odd_group(folder):
    with h5py.File(folder / "trajectory.h5", "r+") as file:
        del file["action/cartesian_position"]
        file.create_group("action/cartesian_position")


def odd_length(folder):
    with h5py.File(folder / "trajectory.h5", "r+") as file:
        joints = file["observation/robot_state/joint_positions"]
        joints.resize(len(joints) + 5, axis=0)


@pytest.mark.parametrize(
    "damage",
    [
        break_metadata,
        break_video,
        break_rows,
        lose_video,
        odd_metadata,
        odd_success,
        odd_group,
        odd_length,
    ],
)
def test_a_damaged_episode_names_its_folder(tmp_path, damage):
    folder = write_episode(tmp_path, 0, make_episode())
    damage(folder)
    with pytest.raises(UserError) as error:
        read_episode(folder)
    assert folder.name in str(error.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_episode(tmp_path_factory.mktemp("whole"), 0, make_episode(rows=5))


@pytest.mark.slow
@given(damage=damage(), pattern=st.sampled_from(["trajectory.h5", "metadata_*.json", "recordings/MP4/*.mp4"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_damage_is_an_error_of_ours(whole, tmp_path_factory, damage, pattern):
    """Truncated, shuffled and flipped bytes: it reads, or it says what is wrong; nothing else happens."""
    folder = tmp_path_factory.mktemp("damaged") / "success" / "episode"
    shutil.copytree(whole, folder)
    path = next(folder.glob(pattern))
    path.write_bytes(damage(path.read_bytes()))
    (entry,) = DroidReader(folder.parent).entries
    assert not entry.error or folder.name in entry.error
    try:
        episode = read_episode(folder)
        episode.cameras[0].frames[:]
    except UserError as error:
        assert str(folder) in str(error)


def test_what_ffmpeg_would_paint_over_is_an_error(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (6, 64, 64, 3), np.uint8)
    episode = make_episode()
    folder = write_episode(tmp_path, 0, replace(episode, cameras=(replace(episode.cameras[0], frames=noise),)))
    video = folder / "recordings" / "MP4" / "left.mp4"
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(20)
    video.write_bytes(content)
    with pytest.raises(UserError, match="can't be decoded"):
        read_episode(folder).cameras[0].frames[:]
