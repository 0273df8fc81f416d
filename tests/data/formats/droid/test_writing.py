"""Reader of writer is identity, and what is on disk is DROID's."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.data.episode import Camera
from vjepa_sim.data.formats.droid import describe, episode_folder, find_episodes, read_episode, write_episode
from vjepa_sim.data.video import write_video
from vjepa_sim.envs.errors import UserError

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


@given(
    rows=st.integers(2, 12),
    seed=st.integers(0, 1000),
    success=st.sampled_from([True, False, None]),
    cameras=st.sampled_from([1, 3]),
)
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


@pytest.mark.parametrize("arm", [None, "panda", "ur5e"])
def test_the_robot_of_a_simulated_episode_is_the_recorded_arm(tmp_path, arm):
    """Episodes of older collections have no arm, which then stays unknown."""
    details = {"gripper": "robotiq", **({} if arm is None else {"arm": arm})}
    folder = write_episode(tmp_path, 0, make_episode(details=details))
    serial = "panda-sim" if arm is None else f"{arm}-sim"
    assert json.loads(next(folder.glob("metadata_*.json")).read_text())["robot_serial"] == serial
    with h5py.File(folder / "trajectory.h5") as file:
        assert file.attrs["robot_serial_number"] == serial
    entry = describe(tmp_path, folder.relative_to(tmp_path).as_posix())
    assert (entry.arm, entry.gripper) == (arm or "", "robotiq")
    assert read_episode(folder).details == details


def test_a_real_episode_is_filed_under_its_own_lab_and_time(tmp_path):
    """A robot's stamps begin anywhere."""
    episode = make_episode(rows=3)
    episode = replace(episode, stamps=episode.stamps + 5000.0)
    when = datetime(2026, 3, 14, 9, 30, 5, tzinfo=UTC)
    folder = write_episode(tmp_path, 7, episode, lab="MYLAB", when=when)
    assert folder == episode_folder(tmp_path, 7, True, lab="MYLAB", when=when)
    assert folder.relative_to(tmp_path).as_posix() == "1.0.1/MYLAB/success/2026-03-14/Sat_Mar_14_09:30:05_2026"
    told = json.loads(next(folder.glob("metadata_*.json")).read_text())
    assert told["uuid"].startswith("MYLAB+") and told["uuid"].endswith("+2026-03-14-09h-30m-05s")
    assert told["hdf5_path"].startswith("success/2026-03-14/")
    with h5py.File(folder / "trajectory.h5") as file:
        milliseconds = file["observation/timestamp/control/step_start"][:]
    np.testing.assert_allclose(milliseconds / 1000 - when.timestamp(), episode.stamps - episode.stamps[0], atol=6e-4)
    np.testing.assert_array_equal(read_episode(folder).stamps, episode.stamps)


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
    folder = write_episode(tmp_path, 0, make_episode(rows=6))
    video = folder / "recordings" / "MP4" / "left.mp4"
    frames = smooth_frames(6)
    video.unlink()
    write_video(video, frames[:5], rate=4)
    assert len(read_episode(folder)) == 5
    video.unlink()
    write_video(video, frames[:3], rate=4)
    with pytest.raises(UserError, match=r"3 frames in left\.mp4 for 6 rows"):
        read_episode(folder)


def test_droids_own_parser_takes_three_cameras(tmp_path):
    """What it looks for: a hand camera and two others by camera_type, their places, and actions in joints."""
    folder = write_episode(tmp_path, 0, make_episode(cameras=3))
    with h5py.File(folder / "trajectory.h5") as file:
        kinds = {serial: rows[0] for serial, rows in file["observation/camera_type"].items()}
        assert sorted(kinds.values()) == [0, 1, 1]
        assert file["action/joint_position"].shape[0] == 6
        for serial in kinds:
            assert file[f"observation/camera_extrinsics/{serial}_left"][0].shape == (6,)
            received = file[f"observation/timestamp/cameras/{serial}_frame_received"][:]
            stamps = json.loads((folder / "recordings" / "MP4" / f"{serial}_timestamps.json").read_text())
            assert stamps == received.tolist()  # its MP4 reader compares them
        assert len({len(leaf) for leaf in leaves_of(file)}) == 1
    record = json.loads(next(folder.glob("*.json")).read_text())
    assert [record[f"{role}_cam_serial"] for role in ("ext1", "ext2", "wrist")] == ["left", "right", "wrist"]
    assert record["left_mp4_path"].endswith("/left.mp4") and record["right_mp4_path"].endswith("/right.mp4")


def leaves_of(file):
    leaves = []
    file.visititems(lambda name, item: leaves.append(item) if isinstance(item, h5py.Dataset) else None)
    return leaves


def numbers_of(folder):
    """Every number in an episode's files but the pictures."""
    with h5py.File(folder / "trajectory.h5") as file:
        leaves = {leaf.name: leaf[:] for leaf in leaves_of(file)}
    return leaves, json.loads(next(folder.glob("*.json")).read_text())


@pytest.mark.parametrize("changes", [{}, {"commands": None}, {"joints": None}, {"success": None}])
def test_writing_reading_and_writing_gives_equal_numbers(tmp_path, changes):
    once = write_episode(tmp_path / "once", 0, make_episode(cameras=3, **changes))
    twice = write_episode(tmp_path / "twice", 0, read_episode(once))
    (leaves, record), (again, same) = numbers_of(once), numbers_of(twice)
    assert record == same
    assert set(leaves) == set(again)
    assert all(np.array_equal(leaves[name], again[name]) and leaves[name].dtype == again[name].dtype for name in leaves)


def test_nothing_is_written_twice_or_by_halves(tmp_path):
    write_episode(tmp_path, 0, make_episode())
    with pytest.raises(UserError, match="exists already"):
        write_episode(tmp_path, 0, make_episode())
    broken = make_episode()
    object.__setattr__(broken, "details", {"not JSON": object()})
    with pytest.raises(UserError, match="JSON"):
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


def test_an_extra_in_the_place_of_the_states_does_not_replace_them(tmp_path):
    other = np.full((6, 6), 9.0)
    episode = make_episode(extras={"observation/robot_state/cartesian_position": other, "lab/counts": np.arange(6)})
    back = read_episode(write_episode(tmp_path, 0, episode), extras=True)
    np.testing.assert_array_equal(back.states, episode.states)
    np.testing.assert_array_equal(back.extras["observation/robot_state/cartesian_position"], other)
    np.testing.assert_array_equal(back.extras["lab/counts"], np.arange(6))


def test_numbers_that_nothing_depends_on_spoil_nothing(tmp_path, caplog):
    folder = write_episode(tmp_path, 0, make_episode())
    with h5py.File(folder / "trajectory.h5", "r+") as file:
        file["observation/lab/short"] = np.zeros(5)
        file["observation/lab/words"] = "none"
        file["observation/lab/right"] = np.ones(6)
        file["observation/robot_state/joint_positions"][2] = np.nan
    episode = read_episode(folder, extras=True)
    assert "observation/lab/right" in episode.extras and "observation/lab/short" not in episode.extras
    assert episode.joints is None
    assert "observation/lab/short" in caplog.text
