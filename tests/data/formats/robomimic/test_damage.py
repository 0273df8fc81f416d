"""Damage is named."""

import json
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from tests.data.formats.robomimic.files import holds, lacks, write, write_foreign
from tests.data.samples import damage, make_episode
from vjepa_sim.data.formats import robomimic
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow

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
        (holds("vjepa_sim/about", np.array([b"{"])), "not readable as JSON"),
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
    @settings(max_examples=20, derandomize=True, deadline=None)
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
