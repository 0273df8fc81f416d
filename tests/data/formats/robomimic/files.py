"""Files to read and to damage."""

import json

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.formats import robomimic


def write(path, episodes):
    with robomimic.open_writer(path) as writer:
        for episode in episodes:
            writer.write(episode)
    return path


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
