"""Variants of the layout, as in the published data set."""

import json

import h5py
import numpy as np
import pytest

from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.data.formats.droid import find_episodes, read_episode, write_episode
from vjepa_sim.data.video import write_video
from vjepa_sim.envs.errors import UserError


@pytest.fixture
def real(tmp_path):
    """An episode as the real data set has it: three serials, stamps in milliseconds, nothing of ours."""
    folder = write_episode(tmp_path, 0, make_episode(rows=8, cameras=3))
    path = next(folder.glob("*.json"))
    record = json.loads(path.read_text())
    del record["vjepa_sim"]
    path.write_text(json.dumps(record))
    with h5py.File(folder / "trajectory.h5", "r+") as file:
        del file["vjepa_sim"]
        file["observation/timestamp/robot_state/read_start"][:] = 1_700_000_000_000 + np.arange(8) * 67
        file["observation/controller_info/movement_enabled"][3] = False
    return folder


def test_a_real_episode(real):
    episode = read_episode(real)
    assert [camera.role for camera in episode.cameras] == ["ext1", "ext2", "wrist"]
    assert episode.period == pytest.approx(0.067, rel=1e-5)
    assert episode.seed is None
    assert episode.details["gripper"] == "robotiq"
    assert not episode.extras["observation/controller_info/movement_enabled"][3]
    assert episode.view("left").serial == "left" and episode.view("right").serial == "right"
    assert episode.view("wrist").extrinsics.std(0).max() > 0


@pytest.mark.parametrize(
    ("view", "serial"), [("left", "left"), ("right", "right"), ("ext2", "right"), ("wrist", "wrist")]
)
def test_only_the_camera_that_is_asked_for(real, view, serial):
    for other in {"left", "right", "wrist"} - {serial}:
        (real / "recordings" / "MP4" / f"{other}.mp4").write_bytes(b"damaged")
    (camera,) = read_episode(real, (view,)).cameras
    assert camera.serial == serial
    assert camera.frames[:].shape == (8, 32, 48, 3)


def test_left_is_the_larger_y(real):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        places = file["observation/camera_extrinsics"]
        places["left_left"][:], places["right_left"][:] = places["right_left"][:], places["left_left"][:]
    assert read_episode(real, ("left",)).cameras[0].serial == "right"
    assert read_episode(real).view("left").serial == "right"


def test_the_headers_rate_means_nothing(real):
    video = real / "recordings" / "MP4" / "left.mp4"
    video.unlink()
    write_video(video, smooth_frames(8), rate=60)
    assert read_episode(real, ("left",)).period == pytest.approx(0.067, rel=1e-5)


def test_without_stamps_rows_are_15_hz(real):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        del file["observation/timestamp"]
    assert read_episode(real).period == pytest.approx(1 / 15)


def test_without_metadata_the_rest_tells(real):
    next(real.glob("metadata_*.json")).unlink()
    episode = read_episode(real)
    assert [camera.serial for camera in episode.cameras] == ["left", "right", "wrist"]
    assert episode.success is True
    failed = real.parents[2] / "failure" / real.parent.name / real.name
    failed.parent.mkdir(parents=True)
    real.rename(failed)
    assert read_episode(failed).success is False


def test_colons_may_be_underscores(real, tmp_path):
    real.rename(real.with_name(real.name.replace(":", "_")))
    assert list(find_episodes(tmp_path)) == ["1.0.1/SIM/success/2025-01-01/Wed_Jan__1_00_00_00_2025"]


def test_without_timestamp_files(real):
    for path in real.rglob("*_timestamps.json"):
        path.unlink()
    assert len(read_episode(real)) == 8


def test_without_intrinsics(real):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        del file["observation/camera_intrinsics"]
    assert read_episode(real).view("left").intrinsics is None


def test_a_camera_without_video_is_absent(real):
    (real / "recordings" / "MP4" / "wrist.mp4").unlink()
    assert [camera.role for camera in read_episode(real).cameras] == ["ext1", "ext2"]
    with pytest.raises(UserError, match="no camera 'wrist'"):
        read_episode(real, ("wrist",))


def test_of_a_stereo_video_the_left_eye(real):
    video = real / "recordings" / "MP4" / "left.mp4"
    video.unlink()
    eyes = np.concatenate([smooth_frames(8, shade=30), smooth_frames(8, shade=180)], axis=2)
    write_video(video.with_name("left-stereo.mp4"), eyes, rate=60)
    frames = read_episode(real, ("left",)).cameras[0].frames
    assert frames.shape == (8, 32, 48, 3)
    assert np.abs(frames[:].astype(int) - smooth_frames(8, shade=30)).max() <= 4


def test_svo_alone_says_what_to_do(real):
    (real / "recordings" / "MP4").rename(real / "recordings" / "SVO")
    with pytest.raises(UserError, match="svo2mp4"):
        read_episode(real)


def test_an_aborted_recording_is_named(real):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        del file["action"]
    with pytest.raises(UserError, match="aborted"):
        read_episode(real)
