"""Reader of writer is identity, and what is on disk is robomimic's."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.data.formats.robomimic.files import write
from tests.data.samples import make_episode
from vjepa_sim.data.episode import Camera
from vjepa_sim.data.formats import robomimic
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError


def rough_frames(rows, seed=0, height=11, width=13):
    return np.random.default_rng(seed).integers(0, 255, (rows, height, width, 3), np.uint8)


def same(one, other):
    return one is other is None or (one.dtype == other.dtype and np.array_equal(one, other))


def assert_equal(back, episode):
    for name in ("states", "stamps", "commands", "joints"):
        assert same(getattr(back, name), getattr(episode, name)), name
    for name in ("task", "success", "behavior", "seed", "details"):
        assert getattr(back, name) == getattr(episode, name), name
    for kind in ("privileged", "extras"):
        ours, theirs = getattr(back, kind), getattr(episode, kind)
        assert set(ours) == set(theirs) and all(same(ours[name], theirs[name]) for name in ours), kind
    assert [(each.role, each.serial) for each in back.cameras] == [(each.role, each.serial) for each in episode.cameras]
    for mine, yours in zip(back.cameras, episode.cameras, strict=True):
        assert np.array_equal(mine.frames, yours.frames)
        assert same(mine.extrinsics, yours.extrinsics) and same(mine.intrinsics, yours.intrinsics)


@pytest.mark.slow
@given(
    rows=st.integers(2, 9),
    seed=st.integers(0, 1000),
    cameras=st.sampled_from([1, 3]),
    success=st.sampled_from([True, False, None]),
)
@settings(max_examples=20, derandomize=True, deadline=None)
def test_reading_gives_back_what_was_written(tmp_path_factory, rows, seed, cameras, success):
    rng = np.random.default_rng(seed)
    extras = {
        "action/cartesian_velocity": rng.normal(size=(rows, 6)),
        "action": np.full((rows, 2, 3), np.nan, np.float32),
        "odd | näme %2F": np.arange(rows) % 2 == 0,
        "counts": rng.integers(-9, 9, rows),
        "nothing": np.zeros((rows, 0)),
    }
    episodes = [make_episode(rows, seed, cameras, success=success), make_episode(rows + 1, seed + 1, cameras)]
    episodes[0] = replace(
        episodes[0],
        extras=extras,
        cameras=tuple(replace(each, frames=rough_frames(rows, seed)) for each in episodes[0].cameras),
        task="stelle den Becher auf 😀",
    )
    path = write(tmp_path_factory.mktemp("robomimic") / "demos.hdf5", episodes)
    assert robomimic.detect(path)
    reader = robomimic.open_reader(path)
    for number, episode in enumerate(episodes):
        back, entry = reader.read(number, extras=True), reader.entries[number]
        if "action" in episode.extras:  # not a number is equal to nothing
            assert np.isnan(back.extras.pop("action")).all() and episode.extras.pop("action") is not None
        assert_equal(back, episode)
        assert (entry.rows, entry.success, entry.task, entry.seed) == (
            len(episode),
            episode.success,
            episode.task,
            episode.seed,
        )
        assert entry.duration == episode.stamps[-1] - episode.stamps[0]
        assert entry.period == episode.period
        assert (entry.height, entry.width) == episode.cameras[0].frames.shape[1:3]
        assert reader.read(number).extras == {}


@pytest.mark.parametrize("rows", [64, 65, 66, 130])
def test_frames_are_read_in_blocks(tmp_path, rows):
    class Counted:
        """Frames that are decoded when they are indexed."""

        shape, dtype = (rows, 11, 13, 3), np.dtype(np.uint8)

        def __getitem__(self, index):
            read.append(index)
            return frames[index]

    read, frames = [], rough_frames(rows)
    lazy = replace(make_episode(rows), cameras=(Camera("left", Counted()),))
    reader = robomimic.open_reader(write(tmp_path / "demos.hdf5", [lazy]))
    assert len(read) == -(-rows // 64)
    assert np.array_equal(reader.read(0).cameras[0].frames, frames)
    with h5py.File(tmp_path / "demos.hdf5") as file:
        assert np.array_equal(file["data/demo_0/obs/ext1_image"], frames[:-1])
        assert np.array_equal(file["data/demo_0/next_obs/ext1_image"], frames[1:])


def test_what_is_unknown_stays_unknown(tmp_path):
    episode = make_episode(commands=None, joints=None, success=None, seed=None, privileged={}, details={}, task="")
    episode = replace(episode, cameras=(Camera("a.b", rough_frames(6), role="wrist"),))
    assert_equal(robomimic.open_reader(write(tmp_path / "a.hdf5", [episode])).read(0, extras=True), episode)


def test_the_layout_is_robomimics(tmp_path):
    """Read as robomimic's own loader does: by keys, attributes and masks."""
    episodes = [make_episode(6, 0, 3), make_episode(4, 1, 3, success=False)]
    with h5py.File(write(tmp_path / "demos.hdf5", episodes)) as file:
        assert set(file) == {"data", "mask"}
        env = json.loads(file["data"].attrs["env_args"])
        assert set(env) == {"env_name", "type", "env_kwargs"} and env["env_kwargs"]["control_freq"] == 4
        assert file["data"].attrs["total"] == 5 + 3
        scale = file["data"].attrs["action_scale"]
        assert env["env_kwargs"]["action_scale"] == scale.tolist()
        for number, episode in enumerate(episodes):
            demo, steps = file[f"data/demo_{number}"], len(episode) - 1
            assert demo.attrs["num_samples"] == steps
            assert set(demo["obs"]) == set(demo["next_obs"])
            assert all(len(each) == steps for group in ("obs", "next_obs") for each in demo[group].values())
            metric = pose.difference(episode.states[:-1], episode.states[1:])
            assert np.array_equal(demo["actions_metric"], metric)
            assert np.array_equal(demo["actions"], np.clip(metric / scale, -1, 1))
            assert np.array_equal(demo["states"], episode.states[:-1])
            assert np.array_equal(demo["dones"], np.eye(steps)[-1])
            assert np.array_equal(demo["rewards"], np.eye(steps)[-1] * episode.success)
            for group, rows in (("obs", slice(0, -1)), ("next_obs", slice(1, None))):
                assert np.array_equal(demo[f"{group}/robot0_eef_pos"], episode.states[rows, :3])
                turned = Rotation.from_quat(demo[f"{group}/robot0_eef_quat"]).as_matrix()
                assert np.allclose(turned, Rotation.from_euler("xyz", episode.states[rows, 3:6]).as_matrix())
                assert np.array_equal(demo[f"{group}/robot0_gripper_qpos"], episode.states[rows, 6:])
                assert np.array_equal(demo[f"{group}/robot0_joint_pos"], episode.joints[rows])
                for camera in episode.cameras:
                    images = demo[f"{group}/{camera.role}_image"]
                    assert np.array_equal(images, camera.frames[rows]) and images.chunks == (1, 32, 48, 3)


@pytest.mark.parametrize(("demos", "valid"), [(1, 0), (2, 1), (5, 1), (20, 1), (45, 2)])
def test_one_demo_in_twenty_is_for_validation(tmp_path, demos, valid):
    with h5py.File(write(tmp_path / "demos.hdf5", [make_episode(2)] * demos)) as file:
        masks = {name: set(file[f"mask/{name}"].asstr()[:]) for name in file["mask"]}
    assert len(masks.get("valid", ())) == valid
    assert masks["train"] | masks.get("valid", set()) == {f"demo_{number}" for number in range(demos)}
    assert not masks["train"] & masks.get("valid", set())


def test_views_and_frames(tmp_path):
    episode = make_episode(9, cameras=3)
    episode = replace(episode, cameras=tuple(replace(each, frames=rough_frames(9)) for each in episode.cameras))
    reader = robomimic.open_reader(write(tmp_path / "demos.hdf5", [episode]))
    assert [camera.role for camera in reader.read(0, ("wrist", "left")).cameras] == ["wrist", "ext1"]
    with pytest.raises(UserError, match=r"demo_0.*no camera 'top'"):
        reader.read(0, ("top",))
    frames, lazy = episode.cameras[0].frames, reader.read(0).cameras[0].frames
    for index in (3, -1, slice(2, 8, 3), [4, 0, 8, 4], np.array([[1, 2], [8, 1]]), np.arange(9) > 5, []):
        assert np.array_equal(lazy[index], frames[index]), index
    assert np.array_equal(lazy.cut(4)[:], frames[:4])
    assert lazy.reduced(5).shape == (9, 5, 6, 3) and lazy.reduced(5)[3:5].shape == (2, 5, 6, 3)
    with pytest.raises(IndexError):
        lazy[9]


def test_a_file_is_written_once(tmp_path):
    path = write(tmp_path / "deep" / "demos.hdf5", [make_episode()])
    with pytest.raises(UserError, match="exists already"):
        robomimic.open_writer(path)
    with robomimic.open_writer(tmp_path / "none.hdf5"):
        pass
    assert not (tmp_path / "none.hdf5").exists()


@pytest.mark.parametrize("changes", [{"details": {"odd": object()}}, {"extras": {"words": np.array(["a"] * 6)}}])
def test_what_does_not_fit_leaves_the_file_as_it_was(tmp_path, changes):
    path = tmp_path / "demos.hdf5"
    with robomimic.open_writer(path) as writer:
        writer.write(make_episode(seed=1))
        with pytest.raises(UserError, match="demo_1"):
            writer.write(make_episode(**changes))
        writer.write(make_episode(seed=2))
    reader = robomimic.open_reader(path)
    assert len(reader) == 2
    assert_equal(reader.read(1), make_episode(seed=2))


def test_what_was_written_before_a_kill_is_readable(tmp_path):
    path = tmp_path / "demos.hdf5"
    code = """
import sys, time
from vjepa_sim.data.formats import robomimic
from tests.data.samples import damage, make_episode
writer = robomimic.open_writer(sys.argv[1])
for seed in range(3):
    writer.write(make_episode(seed=seed))
print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reader = robomimic.open_reader(path)
    assert len(reader) == 3
    assert_equal(reader.read(2), make_episode(seed=2))
