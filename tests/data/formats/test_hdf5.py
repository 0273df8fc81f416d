"""Nothing outside of an HDF5 file is read, sizes are bounded, and errors have the reason."""

import fcntl

import h5py
import numpy as np
import pytest

from tests.data.formats.robomimic.files import write
from tests.data.samples import make_episode
from vjepa_sim.data.formats import detect, open_reader
from vjepa_sim.data.formats.droid import read_episode, write_episode
from vjepa_sim.data.formats.hdf5 import MAX_ROWS, attribute_texts, has, numbers, opened
from vjepa_sim.envs.errors import UserError


@pytest.fixture
def secret(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["group/values"] = np.arange(6.0)
    np.arange(6.0).tofile(tmp_path / "secret.raw")
    return tmp_path


def external_link(file, name):
    file[name] = h5py.ExternalLink("secret.h5", "/group/values")


def below_an_external_link(file, name):
    file["other"] = h5py.ExternalLink("secret.h5", "/group")
    file[name] = h5py.SoftLink("/other/values")


def external_storage(file, name):
    path = file.filename.replace(file.filename.rpartition("/")[2], "secret.raw")
    file.create_dataset(name, (6,), np.float64, external=[(path, 0, 48)])


def virtual(file, name):
    layout = h5py.VirtualLayout((6,), np.float64)
    layout[:] = h5py.VirtualSource("secret.h5", "group/values", (6,))
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("leak", [external_link, below_an_external_link, external_storage, virtual])
def test_other_files_are_not_read(secret, leak):
    path = secret / "data.h5"
    with h5py.File(path, "w") as file:
        leak(file, "values")
    message = r"data\.h5: .*(link to another file|parts of other files)"
    with pytest.raises(UserError, match=message), opened(path, str(path)) as file:
        numbers(file, "values")


@pytest.mark.parametrize("leak", [external_link, below_an_external_link, external_storage, virtual])
def test_an_extra_that_is_in_another_file_is_not_copied(secret, leak):
    folder = write_episode(secret / "set", 0, make_episode())
    for name in ("secret.h5", "secret.raw"):
        (secret / name).rename(folder / name)
    with h5py.File(folder / "trajectory.h5", "r+") as file:
        leak(file, "observation/more")
    try:
        extras = read_episode(folder).extras
    except UserError as error:
        assert "other files" in str(error) or "another file" in str(error)
    else:
        assert "observation/more" not in extras


def test_links_within_the_file_are_followed(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["group/values"] = np.arange(3)
        file["here"] = h5py.SoftLink("/group")
        file["group/again"] = h5py.SoftLink("values")
        file["nowhere"] = h5py.SoftLink("/missing")
        file["loop"] = h5py.SoftLink("/loop")
    with opened(tmp_path / "data.h5", "data.h5") as file:
        assert numbers(file, "here/again").tolist() == [0, 1, 2]
        assert not has(file, "nowhere") and not has(file, "here/values/more")
        with pytest.raises(UserError, match="without an end"):
            has(file, "loop")


def test_sizes_are_bounded(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("long", (MAX_ROWS + 1,), np.uint8, chunks=(1,))
        file.create_dataset("large", (10, 10**9), np.float64, chunks=(1, 100))
    with opened(tmp_path / "data.h5", "data.h5") as file:
        for name in ("long", "large"):
            with pytest.raises(UserError, match="claims the shape"):
                numbers(file, name)


def test_a_file_that_is_cut_off_is_named_so_without_a_format(tmp_path):
    path = write(tmp_path / "demos.hdf5", [make_episode(), make_episode(seed=1)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for format in (None, "robomimic"):
        with pytest.raises(UserError, match=f"cut off: {len(whole) // 2:,} of {len(whole):,} bytes"):
            open_reader(path, format)


def test_a_file_that_another_program_writes_is_named_so(tmp_path, monkeypatch):
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    path = write(tmp_path / "demos.hdf5", [make_episode(), make_episode(seed=1)])
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another program has the file open"):
            open_reader(path)


LAYOUTS = {
    "stable-worldmodel": {"pixels": np.zeros((4, 8, 8, 3), np.uint8), "action": np.zeros((4, 2)), "ep_len": [4],
                          "ep_offset": [0]},
    "ALOHA": {"observations/qpos": np.zeros((4, 14)), "action": np.zeros((4, 14))},
    "DROID": {"observation/robot_state/joint_positions": np.zeros((4, 7))},
    "it holds frames, steps": {"frames": np.zeros(3), "steps": np.zeros(3)},
}  # fmt: skip


@pytest.mark.parametrize("title", LAYOUTS)
def test_other_layouts_are_refused_by_their_names(tmp_path, title):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name, values in LAYOUTS[title].items():
            file[name] = values
    for format in (None, "robomimic"):
        with pytest.raises(UserError, match=title):
            open_reader(tmp_path / "data.h5", format)


def test_what_is_no_hdf5_despite_its_name_and_a_folder_of_hdf5_files_are_named(tmp_path):
    (tmp_path / "data.hdf5").write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="22 bytes that isn't HDF5, although"):
        detect(tmp_path / "data.hdf5")
    with pytest.raises(UserError, match=r"give one, such as .*data\.hdf5"):
        detect(tmp_path)


def test_a_text_that_is_too_long_is_refused(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_group("data").attrs.update(long="x" * 100, short="y")
    assert attribute_texts(tmp_path / "data.h5", "data", ("short", "none")) == {"short": "y"}
    monkeypatch.setattr("vjepa_sim.data.formats.hdf5.MAX_TEXT", 50)
    with pytest.raises(UserError, match="long of data can't be read"):
        attribute_texts(tmp_path / "data.h5", "data", ("long",))
