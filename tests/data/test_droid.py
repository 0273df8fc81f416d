"""Reader of writer is identity, and what is on disk is DROID's."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.formats.droid import episode_folder, find_episodes, read_episode, write_episode
from data.episode import Camera
from envs.errors import UserError
from tests.data.samples import make_episode, smooth_frames

DROID_FIELDS = [
    "uuid",
    "lab",
    "user",
    "user_id",
    "date",
    "timestamp",
    "hdf5_path",
    "building",
    "scene_id",
    "success",
    "robot_serial",
    "droid_version",
    "current_task",
    "trajectory_length",
    "wrist_cam_serial",
    "ext1_cam_serial",
    "ext2_cam_serial",
    "wrist_cam_extrinsics",
    "ext1_cam_extrinsics",
    "ext2_cam_extrinsics",
    "wrist_svo_path",
    "wrist_mp4_path",
    "ext1_svo_path",
    "ext1_mp4_path",
    "ext2_svo_path",
    "ext2_mp4_path",
    "left_mp4_path",
    "right_mp4_path",
]


@given(rows=st.integers(2, 12), seed=st.integers(0, 1000), success=st.sampled_from([True, False, None]), cameras=st.sampled_from([1, 3]))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_gives_back_what_was_written(tmp_path_factory, rows, seed, success, cameras):
    root = tmp_path_factory.mktemp("droid")
    episode = make_episode(rows, seed, cameras, success=success)
    back = read_episode(write_episode(root, 0, episode))
    for name in ("states", "commands", "stamps", "joints"):
        assert np.array_equal(getattr(back, name), getattr(episode, name)), name
    assert np.array_equal(back.privileged["object_position"], episode.privileged["object_position"])
    for ours, theirs in zip(episode.cameras, back.cameras, strict=True):
        assert (ours.serial, ours.role) == (theirs.serial, theirs.role)
        assert np.array_equal(ours.extrinsics, theirs.extrinsics)
        assert np.array_equal(ours.intrinsics, theirs.intrinsics)
        assert np.abs(theirs.frames[:].astype(int) - ours.frames).max() <= 4
    for name in ("task", "success", "behavior", "seed", "details"):
        assert getattr(back, name) == getattr(episode, name), name


def test_the_layout_is_droids(tmp_path):
    folder = write_episode(tmp_path, 3, make_episode(success=False))
    relative = folder.relative_to(tmp_path).parts
    assert relative[:3] == ("1.0.1", "SIM", "failure")
    assert folder.name == "Wed_Jan__1_00:06:00_2025"
    (metadata,) = folder.glob("*.json")
    record = json.loads(metadata.read_text())
    assert list(record)[: len(DROID_FIELDS)] == DROID_FIELDS
    assert all(record[name] is not None for name in DROID_FIELDS)
    lab = tmp_path / "1.0.1" / "SIM"
    assert (lab / record["left_mp4_path"]).is_file()
    assert "recordings/MP4/" in record["left_mp4_path"]
    assert (lab / record["hdf5_path"]).is_file()
    assert record["trajectory_length"] == 6
    with h5py.File(folder / "trajectory.h5") as file:
        assert set(file) == {"observation", "action", "vjepa_sim"}
        leaves = {}
        file.visititems(lambda name, item: leaves.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None)
        assert all(len(leaf) == 6 and leaf.chunks[0] == 1 and leaf.maxshape[0] is None for leaf in leaves.values())
        assert leaves["observation/robot_state/cartesian_position"].dtype == np.float64
        assert leaves["observation/timestamp/skip_action"].dtype == bool
        assert leaves["observation/camera_type/left"].dtype == np.int64
        assert leaves["action/joint_position"].shape == (6, 7)
        assert file.attrs["success"] == False  # noqa: E712  (h5py's own bool)
        assert file.attrs["version_number"] == "1.3"


def test_the_way_v_jepa_2_reads_it(tmp_path):
    """Its loader, in a few lines: first JSON, left camera, HDF5 keys, states and actions."""
    folder = write_episode(tmp_path, 0, make_episode(rows=9))
    record = json.loads(next(folder.glob("*.json")).read_text())
    video = folder / "recordings" / "MP4" / record["left_mp4_path"].split("recordings/MP4/")[1]
    assert video.is_file()
    with h5py.File(folder / "trajectory.h5") as file:
        state = np.column_stack(
            [
                file["observation"]["robot_state"]["cartesian_position"],
                file["observation"]["robot_state"]["gripper_position"],
            ]
        )
        assert file["observation"]["camera_extrinsics"][f"{video.stem}_left"].shape == (9, 6)
    assert state.shape == (9, 7)


def test_a_shorter_video_shortens_the_episode(tmp_path):
    """Some of DROID's videos lack a frame."""
    from data.video import write_video

    folder = write_episode(tmp_path, 0, make_episode(rows=6))
    video = folder / "recordings" / "MP4" / "left.mp4"
    frames = smooth_frames(6)
    video.unlink()
    write_video(video, frames[:5], 4)
    assert len(read_episode(folder)) == 5
    video.unlink()
    write_video(video, frames[:3], 4)
    with pytest.raises(UserError, match="3 frames in left.mp4 for 6 rows"):
        read_episode(folder)


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


def test_nothing_is_written_twice_or_by_halves(tmp_path):
    write_episode(tmp_path, 0, make_episode())
    with pytest.raises(UserError, match="exists already"):
        write_episode(tmp_path, 0, make_episode())
    broken = make_episode()
    object.__setattr__(broken, "details", {"not JSON": object()})
    with pytest.raises(TypeError):
        write_episode(tmp_path, 1, broken)
    assert not episode_folder(tmp_path, 1, True).exists()
    assert len(find_episodes(tmp_path)) == 1
    assert list(tmp_path.glob(".partial-*")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": np.zeros((5, 7))}, "shape"),
        ({"joints": np.full((6, 7), np.nan)}, "not finite"),
        ({"stamps": np.zeros(6)}, "increase"),
        ({"cameras": (Camera("left", np.zeros((6, 8, 8, 3), np.float32)),)}, "uint8"),
    ],
)
def test_an_episode_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        replace(make_episode(), **changes)


def test_no_data_names_the_command(tmp_path):
    with pytest.raises(UserError, match="vjepa-sim collect"):
        find_episodes(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"No episode"):
        find_episodes(tmp_path)
