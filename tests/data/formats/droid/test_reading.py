"""Variants of the layout, as in the published data set."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.data.formats.droid import DroidReader, find_episodes, read_episode, write_episode
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


def note(folder, **changes):
    path = next(folder.glob("metadata_*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("serial", ["../../../outside", "/etc/hostname", "..", "nothing", ".hidden", "a\0b"])
def test_a_serial_is_no_path(real, tmp_path, serial):
    """Serials that are no videos of the episode are passed over for those that are."""
    write_video(tmp_path / "outside.mp4", smooth_frames(8), rate=15)
    note(real, ext1_cam_serial=serial, vjepa_sim={"roles": {"ext1": serial, "wrist": serial}})
    note(real, ext2_cam_serial=serial, wrist_cam_serial=serial)
    cameras = read_episode(real).cameras
    assert {camera.role: camera.serial for camera in cameras} == {"ext1": "left", "ext2": "right", "wrist": "wrist"}


def test_an_odd_serial_is_escaped(real):
    video = real / "recordings" / "MP4" / "left.mp4"
    video.rename(video.with_name("my left camera (é).mp4"))
    note(real, ext1_cam_serial="my left camera (é)")
    assert read_episode(real, ("ext1",)).cameras[0].serial == "my-left-camera-"


def test_hidden_and_unfinished_videos_are_passed_over(real):
    next(real.glob("metadata_*.json")).unlink()
    with h5py.File(real / "trajectory.h5", "r+") as file:
        del file["observation/camera_type"]
    for name in ("._left.mp4", "wrist.mp4.part", ".wrist.mp4"):
        (real / "recordings" / "MP4" / name).write_bytes(b"no video")
    assert [camera.serial for camera in read_episode(real).cameras] == ["left", "right"]


def test_arrays_named_by_a_camera_are_named_by_its_role(real, tmp_path):
    extras = read_episode(real).extras
    for name in ("camera_type/ext1", "camera_extrinsics/wrist_right", "timestamp/cameras/ext2_frame_received"):
        assert f"observation/{name}" in extras
    assert not any("left" in name.rsplit("/")[-1] for name in extras)
    kept = read_episode(real, ("wrist",)).extras
    assert "observation/camera_type/wrist" in kept and "observation/camera_type/ext1" not in kept
    again = write_episode(tmp_path / "again", 0, read_episode(real))
    with h5py.File(real / "trajectory.h5") as first, h5py.File(again / "trajectory.h5") as second:
        for name in ("camera_type", "timestamp/cameras", "camera_extrinsics"):
            assert set(first[f"observation/{name}"]) == set(second[f"observation/{name}"])


@pytest.mark.parametrize(("unit", "size"), [("milliseconds", 1), ("microseconds", 1e3), ("nanoseconds", 1e6)])
def test_the_unit_of_stamps_is_inferred_and_said(real, tmp_path, caplog, unit, size):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        stamps = file["observation/timestamp/robot_state/read_start"]
        stamps[:] = stamps[:] * int(size)
    assert read_episode(real).period == pytest.approx(0.067, rel=1e-4)
    (entry,) = DroidReader(tmp_path).entries
    assert entry.period == pytest.approx(0.067, rel=1e-4)
    said = unit != "milliseconds"
    assert (f"taken as {unit}" in entry.remark) is said and (unit in caplog.text) is said


def test_stamps_in_seconds_are_inferred(real):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        del file["observation/timestamp/robot_state/read_start"]
        file["observation/timestamp/robot_state/read_start"] = 1.7e9 + np.arange(8) * 0.067
    assert read_episode(real).period == pytest.approx(0.067, rel=1e-4)


@pytest.mark.parametrize("apart", [2_500, 3_000_000_000])
def test_stamps_of_no_plausible_unit_are_refused(real, apart):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        file["observation/timestamp/robot_state/read_start"][:] = np.arange(8) * apart
    with pytest.raises(UserError, match=r"unit of .*read_start is unknown: .* s in milliseconds, .* in nanoseconds"):
        read_episode(real)


def test_a_path_that_is_not_utf8(real, tmp_path):
    root = os.fsdecode(os.fsencode(tmp_path) + b"/donn\xe9es")
    os.makedirs(root)
    os.rename(tmp_path / "1.0.1", os.fsencode(root) + b"/caf\xe9")
    for _ in range(2):  # the second time from the index
        reader = DroidReader(Path(root))
        assert [entry.error for entry in reader.entries] == [""]
        assert reader.read(0).view("left").frames[0].shape == (32, 48, 3)
    next(Path(root).rglob("trajectory.h5")).write_bytes(b"damaged")
    for _ in range(2):
        assert "HDF5" in DroidReader(Path(root)).entries[0].error


def test_a_pose_that_is_not_finite_is_unknown_and_said(real, tmp_path, caplog):
    with h5py.File(real / "trajectory.h5", "r+") as file:
        file["observation/camera_extrinsics/right_left"][3] = np.nan
    cameras = {camera.role: camera for camera in read_episode(real).cameras}
    assert cameras["ext2"].extrinsics is None and cameras["ext1"].extrinsics is not None
    DroidReader(tmp_path)
    assert "pose of the camera ext2" in caplog.text
