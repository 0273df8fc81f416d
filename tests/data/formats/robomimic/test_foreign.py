"""Files of others."""

import json

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.formats.robomimic.files import holds, write, write_foreign
from tests.data.samples import make_episode
from vjepa_sim.data.formats import open_reader, robomimic
from vjepa_sim.envs.errors import UserError


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


def test_other_grippers_are_refused(tmp_path):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        for group in ("obs", "next_obs"):
            holds(f"{group}/robot0_gripper_qpos", np.zeros((5, 6)))(file)
    with pytest.raises(UserError, match="panda_hand"):
        robomimic.open_reader(path).read(1)


def write_libero(path, convention="opengl"):
    """A file as LIBERO's create_dataset.py makes it."""
    rng = np.random.default_rng(0)
    rows = {
        "ee_pos": rng.uniform(size=(5, 3)),
        "ee_ori": Rotation.random(5, rng=rng).as_rotvec(),
        "gripper_states": rng.uniform(0, 0.04, (5, 1)) * [1, -1],
        "joint_states": rng.uniform(size=(5, 7)),
        "agentview_rgb": rng.integers(0, 255, (5, 16, 24, 3), np.uint8),
        "eye_in_hand_rgb": rng.integers(0, 255, (5, 16, 24, 3), np.uint8),
    }
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["problem_info"] = json.dumps({"language_instruction": "open the drawer"})
        data.attrs["env_args"] = json.dumps({"env_name": "Libero", "env_kwargs": {"control_freq": 20}})
        if convention:
            data.attrs["macros_image_convention"] = convention
        for name, values in rows.items():
            data[f"demo_0/obs/{name}"] = values
        data["demo_0/rewards"] = np.eye(5, dtype=np.uint8)[-1]
    return path, rows


@pytest.mark.parametrize(("convention", "turn"), [("opengl", -1), ("opencv", 1)])
def test_liberos_files_are_read_upright(tmp_path, convention, turn):
    path, rows = write_libero(tmp_path / "libero.hdf5", convention)
    episode = open_reader(path).read(0, extras=True)
    assert np.array_equal(episode.states[:, :3], rows["ee_pos"])
    turned = Rotation.from_euler("xyz", episode.states[:, 3:6]) * Rotation.from_rotvec(rows["ee_ori"]).inv()
    assert turned.magnitude().max() < 1e-9
    assert np.allclose(episode.states[:, 6], 1 - rows["gripper_states"][:, 0] / 0.04)
    assert (episode.task, episode.success, episode.period) == ("open the drawer", True, pytest.approx(0.05))
    assert [(camera.role, camera.serial) for camera in episode.cameras] == [
        ("ext1", "agentview"),
        ("wrist", "eye_in_hand"),
    ]
    for camera in episode.cameras:
        assert np.array_equal(camera.frames[[0, 3]], rows[f"{camera.serial}_rgb"][[0, 3], ::turn])


def test_liberos_images_without_a_convention_are_refused(tmp_path):
    path, _ = write_libero(tmp_path / "libero.hdf5", convention="")
    with pytest.raises(UserError, match="whether LIBERO's images are upside down"):
        open_reader(path).read(0)


@pytest.mark.parametrize(
    ("rewards", "success"),
    [
        ([0, 0.2, 0.4, 0.9, 0.3], None),
        ([0, 0, 0, 0, 0.5], None),
        ([0, 0, np.nan, 0, 1], None),
        ([-1, -1, 0, 0, 0], None),
        ([0, 0, 0, 1, 1], True),
        ([0, 0, 0, 0, 0], False),
    ],
)
def test_only_sparse_rewards_are_success(tmp_path, rewards, success):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        holds("rewards", np.array(rewards, float))(file)
    assert open_reader(path).entries[1].success is success


@pytest.mark.parametrize(
    ("images", "remedy"),
    [(np.zeros((5, 16, 24, 3), np.float32), "round"), (np.zeros((5, 3, 16, 24), np.uint8), "transpose")],
)
def test_images_of_another_type_or_order_are_refused_with_a_remedy(tmp_path, images, remedy):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        for group in ("obs", "next_obs"):
            holds(f"{group}/agentview_image", images)(file)
    assert remedy in open_reader(path).entries[1].error


def test_a_raw_recording_is_named(tmp_path):
    with h5py.File(tmp_path / "demo.hdf5", "w") as file:
        file["data/demo_1/states"], file["data/demo_1/actions"] = np.zeros((5, 30)), np.zeros((5, 7))
    assert "dataset_states_to_obs.py" in open_reader(tmp_path / "demo.hdf5").entries[0].error


def test_names_of_others_and_our_own_notes_are_no_paths(tmp_path):
    path = write_foreign(tmp_path / "lift.hdf5")
    with h5py.File(path, "r+") as file:
        for group in ("obs", "next_obs"):
            file.move(f"data/demo_0/{group}/birdview_image", f"data/demo_0/{group}/.. bird\\view_image")
    serials = {camera.serial for camera in open_reader(path).read(0).cameras}
    assert serials == {"agentview", "bird-view", "robot0_eye_in_hand"}
    ours = write(tmp_path / "ours.hdf5", [make_episode(), make_episode(seed=1)])
    with h5py.File(ours, "r+") as file:
        group = file["data/demo_1/vjepa_sim"]
        about = {**json.loads(group["about"][0]), "cameras": {"ext1": "../../escaped"}}
        del group["about"]
        group["about"] = np.array([json.dumps(about).encode()])
    assert "serials by role" in open_reader(ours).entries[1].error
