"""Reader of writer is identity, what is on disk is robomimic's, and damage is told."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.data.samples import damage, make_episode
from vjepa_sim.data.episode import Camera
from vjepa_sim.data.formats import robomimic
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write(path, episodes):
    with robomimic.open_writer(path) as writer:
        for episode in episodes:
            writer.write(episode)
    return path


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
    episode = replace(episode, cameras=(Camera("a/b", rough_frames(6), role="wrist"),))
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
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reader = robomimic.open_reader(path)
    assert len(reader) == 3
    assert_equal(reader.read(2), make_episode(seed=2))


# --- files of others ------------------------------------------------------------------------------------------


def write_foreign(path, steps=5, demos=2, **env_kwargs):
    """A file such as robomimic makes from robosuite's Lift, in HDF5's old layout."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = steps * demos
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": env_kwargs})
        for number in range(demos):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = steps
            demo.attrs["model_file"] = "<mujoco/>"
            demo["actions"] = rng.uniform(-1, 1, (steps, 7))
            demo["rewards"] = np.eye(steps)[-1] * (number == 0)
            rows = {
                "robot0_eef_pos": rng.uniform(size=(steps + 1, 3)),
                "robot0_eef_quat": Rotation.random(steps + 1, rng=rng).as_quat(),
                "robot0_gripper_qpos": rng.uniform(0, 0.04, (steps + 1, 1)) * [1, -1],
                "robot0_joint_pos": rng.uniform(size=(steps + 1, 7)),
                "object": rng.uniform(size=(steps + 1, 10)),
            }
            for name in ("agentview_image", "robot0_eye_in_hand_image", "birdview_image"):
                rows[name] = rng.integers(0, 99, (steps + 1, 16, 24, 3), np.uint8)
            for name, values in rows.items():
                demo.create_dataset(f"obs/{name}", data=values[:-1], compression="gzip")
                demo.create_dataset(f"next_obs/{name}", data=values[1:], compression="gzip")
    return path


def test_a_foreign_file_is_read_as_far_as_it_tells(tmp_path):
    path = write_foreign(tmp_path / "lift.hdf5", control_freq=10)
    reader = robomimic.open_reader(path)
    assert [(entry.rows, entry.success, entry.task) for entry in reader.entries] == [
        (6, True, "Lift"),
        (6, False, "Lift"),
    ]
    episode = reader.read(0, extras=True)
    with h5py.File(path) as file:
        both = {
            name: np.concatenate([each, file[f"data/demo_0/next_obs/{name}"][-1:]])
            for name, each in file["data/demo_0/obs"].items()
        }
    assert np.array_equal(episode.states[:, :3], both["robot0_eef_pos"])
    turned = Rotation.from_euler("xyz", episode.states[:, 3:6]) * Rotation.from_quat(both["robot0_eef_quat"]).inv()
    assert turned.magnitude().max() < 1e-9
    assert np.allclose(episode.states[:, 6], 1 - both["robot0_gripper_qpos"][:, 0] / 0.04)
    assert np.array_equal(episode.joints, both["robot0_joint_pos"]) and episode.commands is None
    assert episode.period == pytest.approx(0.1) and episode.details == {"gripper": "panda_hand"}
    assert {camera.role: camera.serial for camera in episode.cameras} == {
        "ext1": "agentview",
        "ext2": "birdview",
        "wrist": "robot0_eye_in_hand",
    }
    assert np.array_equal(episode.view("wrist").frames, both["robot0_eye_in_hand_image"])
    assert set(episode.extras) == {"obs/object"} and np.array_equal(episode.extras["obs/object"], both["object"])


def test_a_foreign_file_without_next_obs_has_one_row_less_and_robosuites_rate(tmp_path):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        del file["data/demo_0/next_obs"]
        del file["data/demo_0/rewards"]
    episode = robomimic.open_reader(path).read(0)
    assert len(episode) == 5 and episode.period == pytest.approx(0.05) and episode.success is None
    assert episode.view("wrist").frames.shape == (5, 16, 24, 3)


def lacks(*names):
    def damage(file):
        for name in names:
            del file[f"data/demo_1/{name}"]

    return damage


def holds(name, values):
    def damage(file):
        del file[f"data/demo_1/{name}"]
        file[f"data/demo_1/{name}"] = values

    return damage


IMAGES = [f"obs/{name}_image" for name in ("agentview", "birdview", "robot0_eye_in_hand")]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lacks("obs"), "no group 'obs'"),
        (lacks("obs/robot0_eef_pos", "obs/robot0_gripper_qpos"), "lack robot0_eef_pos, robot0_gripper_qpos; they have"),
        (lacks(*IMAGES), "lack <camera>_image"),
        (lacks("next_obs/robot0_eef_quat"), "no robot0_eef_quat"),
        (holds("obs/robot0_eef_pos", np.zeros((5, 4))), "shape"),
        (holds("next_obs/robot0_eef_pos", np.zeros((4, 3))), "shape"),
        (holds("obs/robot0_eef_pos", np.full((5, 3), np.nan)), "finite"),
        (holds("obs/robot0_eef_quat", np.zeros((5, 4))), "length isn't 1"),
        (holds("obs/robot0_gripper_qpos", np.zeros((5, 6))), "next_obs/robot0_gripper_qpos has"),
        (holds("obs/robot0_gripper_qpos", np.ones((5, 2))), "2.000 m"),
        (holds("obs/agentview_image", np.zeros((5, 16, 24, 3))), "uint8"),
        (holds("obs/agentview_image", np.zeros((5, 16, 24, 4), np.uint8)), "uint8"),
        (holds("obs/agentview_image", np.zeros((4, 16, 24, 3), np.uint8)), "shape"),
        (holds("obs/robot0_joint_pos", "words"), "not numbers"),
    ],
)
def test_a_demo_that_does_not_fit_together_is_named(tmp_path, damage, message):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        damage(file)
    reader = robomimic.open_reader(path)
    assert len(reader.read(0)) == 6 and not reader.entries[0].error
    with pytest.raises(UserError, match=message) as error:
        reader.read(1)
    assert f"{path}: demo_1" in str(error.value)
    assert reader.entries[1].error == str(error.value)


def our_about(**changes):
    def damage(file):
        ours = file["data/demo_1/vjepa_sim"]
        about = {**json.loads(ours["about"][0]), **changes}
        del ours["about"]
        ours["about"] = np.array([json.dumps(about).encode()])

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lacks("vjepa_sim/states"), "no states"),
        (lacks("next_obs"), "shape"),
        (holds("vjepa_sim/stamps", np.zeros(5)), "expected 6 rows"),
        (holds("vjepa_sim/stamps", np.zeros(6)), "increase"),
        (holds("vjepa_sim/privileged/object_position", np.zeros((5, 3))), "expected 6 rows"),
        (holds("vjepa_sim/states", np.full((6, 7), np.inf)), "not finite"),
        (holds("vjepa_sim/states", 3.0), "shape"),
        (holds("vjepa_sim/about", np.array([b"{"])), "not JSON"),
        (holds("vjepa_sim/about", 1), "not a text"),
        (our_about(seed="one"), "about lacks"),
        (our_about(cameras={"../top": "a"}), "serials by role"),
        (our_about(cameras={"wrist": "a"}), "no wrist_image"),
        (our_about(cameras={}), "at least one camera"),
    ],
)
def test_a_damaged_demo_of_ours_is_named(tmp_path, damage, message):
    path = write(tmp_path / "demos.hdf5", [make_episode(), make_episode()])
    with h5py.File(path, "r+") as file:
        damage(file)
    reader = robomimic.open_reader(path)
    assert len(reader.read(0)) == 6 and not reader.entries[0].error
    with pytest.raises(UserError, match=message) as error:
        reader.read(1)
    assert f"{path}: demo_1" in str(error.value)


def test_other_grippers_are_refused(tmp_path):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        for group in ("obs", "next_obs"):
            holds(f"{group}/robot0_gripper_qpos", np.zeros((5, 6)))(file)
    with pytest.raises(UserError, match="panda_hand"):
        robomimic.open_reader(path).read(1)


def test_sizes_are_not_believed(tmp_path):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_1"]
        for name, shape in (("obs/robot0_joint_pos", (2**40, 7)), ("obs/agentview_image", (2**40, 16, 24, 3))):
            kind = demo[name].dtype
            del demo[name]
            demo.create_dataset(name, shape, kind, chunks=(1, *shape[1:]))
            del demo[f"next_{name}"]
            demo[f"next_{name}"] = demo[name]
        file.create_dataset("data/demo_0/obs/robot0_joint_vel", (2**20, 2**10), np.uint8, chunks=(2**20, 2**10))
        file.create_dataset(
            "data/demo_0/obs/chunky", (5, 2**10), np.float64, chunks=(2**18, 2**10), maxshape=(None, 2**10)
        )
    reader = robomimic.open_reader(path)
    start = time.monotonic()
    with pytest.raises(UserError, match="claims"):
        reader.read(1)
    with pytest.raises(UserError, match="claims chunks"):
        reader.read(0, extras=True)
    assert time.monotonic() - start < 2


def test_what_is_no_robomimic_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["data"] = 3
    (tmp_path / "text.hdf5").write_text("data")
    for name in ("other.hdf5", "text.hdf5", "nowhere.hdf5", "."):
        assert not robomimic.detect(tmp_path / name)
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            robomimic.open_reader(tmp_path / name)
    path = write_foreign(tmp_path / "lift.hdf5")
    for env, message in (("{", "env_args"), ("[]", "object"), ('{"env_kwargs": {"control_freq": 0}}', "hertz")):
        with h5py.File(path, "r+") as file:
            file["data"].attrs["env_args"] = env
        with pytest.raises(UserError, match=message):
            robomimic.open_reader(path).read(0)


def read_everything(path):
    """Works, or is the user's error; nothing else."""
    try:
        reader = robomimic.open_reader(path)
    except UserError as error:
        assert str(path) in str(error)
        return
    for number in range(len(reader)):
        try:
            for camera in reader.read(number, extras=True).cameras:
                np.asarray(camera.frames)
        except UserError as error:
            assert f"{path}: demo_" in str(error)


@pytest.mark.parametrize("ours", [True, False])
def test_damaged_files_are_the_users_error(tmp_path, ours):
    if ours:
        episode = make_episode(extras={"action/x": np.arange(6.0)})
        source = write(tmp_path / "source.hdf5", [episode, make_episode(5)]).read_bytes()
    else:
        source = write_foreign(tmp_path / "source.hdf5").read_bytes()
    count = iter(range(1000))

    @given(damage=damage())
    @settings(max_examples=30, derandomize=True, deadline=None)
    def check(damage):
        path = tmp_path / f"{next(count)}.hdf5"
        path.write_bytes(damage(source))
        read_everything(path)

    check()


def test_a_flipped_bit_in_our_numbers_or_pixels_is_noticed(tmp_path):
    """Every array has a checksum."""
    path = write(tmp_path / "demos.hdf5", [make_episode()])
    states = make_episode().states.tobytes()
    data = bytearray(path.read_bytes())
    place = data.rindex(states)  # our own, all rows of it
    data[place + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="demo_0"):
        robomimic.open_reader(path).read(0)
