"""Files of others."""

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.formats.robomimic.files import holds, write_foreign
from vjepa_sim.data.formats import robomimic
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
