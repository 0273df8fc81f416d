"""From any format to any other and back: every number stays."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.samples import make_episode
from vjepa_sim.data.convert import convert
from vjepa_sim.data.formats import FORMATS, detect, open_reader, open_writer
from vjepa_sim.data.formats.droid import write_episode
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow

WRITABLE = [name for name, format in FORMATS.items() if format.writable]


@pytest.fixture
def droid(tmp_path):
    for index in range(3):
        write_episode(tmp_path / "droid", index, make_episode(rows=5 + index, seed=index, cameras=3, success=index > 0))
    return tmp_path / "droid"


def place(tmp_path, name):
    return tmp_path / (f"{name}.hdf5" if name.startswith("robomimic") else name)


@pytest.mark.parametrize("to", WRITABLE)
def test_there_and_back(droid, tmp_path, to):
    there, back = place(tmp_path, f"{to}-there"), tmp_path / "back"
    result = convert(droid, there, to)
    assert (result.written, result.left_out) == (3, {})
    assert detect(there) == to
    convert(there, back, "droid")
    for first, second in zip(episodes(droid), episodes(back), strict=True):
        assert_equal(first, second)


@pytest.mark.parametrize("roles", [("ext1",), ("ext2",), ("ext1", "wrist"), ("ext2", "wrist"), ("wrist",)])
@pytest.mark.parametrize("to", WRITABLE)
def test_only_some_cameras(droid, tmp_path, to, roles):
    out = place(tmp_path, f"{to}-some")
    convert(droid, out, to, views=roles)
    assert [camera.role for camera in open_reader(out).read(0).cameras] == list(roles)


def episodes(path):
    reader = open_reader(path)
    return sorted((reader.read(number, extras=True) for number in range(len(reader))), key=len)


def assert_equal(first, second):
    for name in ("states", "stamps", "commands", "joints"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), name)
    for name in ("privileged", "extras"):
        ours, theirs = getattr(first, name), getattr(second, name)
        assert set(ours) == set(theirs)
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], key)
    for name in ("task", "success", "behavior", "seed", "details"):
        assert getattr(first, name) == getattr(second, name), name
    for ours, theirs in zip(first.cameras, second.cameras, strict=True):
        assert (ours.role, ours.serial) == (theirs.role, theirs.serial)
        np.testing.assert_array_equal(ours.extrinsics, theirs.extrinsics)
        np.testing.assert_array_equal(ours.intrinsics, theirs.intrinsics)
        assert np.abs(ours.frames[:].astype(int) - theirs.frames[:]).max() <= 8


def test_bad_episodes_are_named_and_noted(droid, tmp_path):
    next(droid.rglob("left.mp4")).write_bytes(b"damaged")
    result = convert(droid, tmp_path / "out", "lerobot")
    assert result.written == 2
    (reason,) = result.left_out.values()
    assert "left.mp4" in reason
    noted = json.loads(result.record.read_text())
    assert noted["left_out"] == result.left_out
    assert noted["provenance"]["git_commit"]
    for video in droid.rglob("left.mp4"):
        video.write_bytes(b"damaged")
    with pytest.raises(UserError, match="at most 10% may be bad"):
        convert(droid, tmp_path / "none", "lerobot")


def test_other_peoples_things_are_left_alone(droid, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        convert(droid, tmp_path / "out", "lerobot")


@pytest.mark.parametrize(
    ("format", "message"), [("lerobt", "Did you mean 'lerobot'"), ("rlds", "can be read, but not written")]
)
def test_formats_that_can_not_be_written_are_named(tmp_path, format, message):
    with pytest.raises(UserError, match=message):
        open_writer(tmp_path / "out", format)


def test_what_is_no_data_set_is_named(tmp_path):
    with pytest.raises(UserError, match="There is no"):
        detect(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="not a data set in a known format"):
        detect(tmp_path)


def test_a_collection_is_recognised(episodes_folder):
    assert detect(episodes_folder) == "sim"
    assert open_reader(episodes_folder).format == "sim"


def test_another_format_is_recognised(droid, tmp_path):
    convert(droid, tmp_path / "lerobot", "lerobot")
    with pytest.raises(UserError, match=r"looks like LeRobot v3 \(lerobot\)"):
        open_reader(tmp_path / "lerobot", "droid")


def test_what_was_stopped_says_so(droid, tmp_path):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(droid, tmp_path / "out", "lerobot", on_progress=stop)
    assert json.loads((tmp_path / "out" / "conversion.json").read_text())["complete"] is False
    convert(droid, tmp_path / "whole", "lerobot")
    noted = json.loads((tmp_path / "whole" / "conversion.json").read_text())
    assert noted["complete"] is True
    assert len(noted["episodes"]) == 3


SERIALS = {"ILIAD": ("22008760", "24400334", "18026681"), "IRIS": ("29838012", "23404442", "19824535")}


@pytest.fixture
def two_labs(tmp_path):
    """Three episodes each of two labs with cameras of their own, as DROID has them; one array is IRIS's only."""
    root = tmp_path / "labs"
    for number, lab in enumerate(("ILIAD", "IRIS") * 3):
        episode = make_episode(rows=5, seed=number, cameras=3)
        cameras = tuple(replace(each, serial=own) for each, own in zip(episode.cameras, SERIALS[lab], strict=True))
        more = {"action/target": np.zeros((5, 2))} if lab == "IRIS" else {}
        write_episode(root, number, replace(episode, cameras=cameras, extras=more), lab=lab)
    for path in root.rglob("metadata_*.json"):
        content = json.loads(path.read_text())
        del content["vjepa_sim"]
        path.write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("to", WRITABLE)
@pytest.mark.parametrize("views", [None, ("left",), ("ext2", "wrist")])
def test_labs_with_other_cameras_are_converted_together(two_labs, tmp_path, to, views):
    out = place(tmp_path, f"{to}-labs")
    result = convert(two_labs, out, to, views=views)
    assert (result.written, result.left_out) == (6, {})
    serials = {camera.serial for episode in episodes(out) for camera in episode.cameras}
    assert len(serials) == 2 * len(views or "abc")
    assert [("action/target (in 3)" in each) for each in result.unshared] == [True] * (to == "lerobot")
    if to == "droid" and views is None:
        for first, second in zip(episodes(two_labs), episodes(out), strict=True):
            assert set(first.extras) == set(second.extras)


def test_the_left_camera_is_converted_whichever_role_it_has(two_labs, tmp_path):
    for path in [*two_labs.rglob("trajectory.h5")][:3]:
        with h5py.File(path, "r+") as file:
            poses = file["observation/camera_extrinsics"]
            first, second = (f"{SERIALS[path.parts[-5]][number]}_left" for number in (0, 1))
            poses[first][:], poses[second][:] = poses[second][:], poses[first][:]
    assert convert(two_labs, tmp_path / "out", "lerobot", views=("left",)).written == 6
    assert {camera.role for episode in episodes(tmp_path / "out") for camera in episode.cameras} == {"ext1"}


@pytest.mark.parametrize(("lacking", "written", "wrist"), [(3, 6, False), (1, 6, False)])
def test_a_camera_that_only_some_episodes_have_is_left_out_and_said(two_labs, tmp_path, lacking, written, wrist):
    for path in sorted(two_labs.rglob("MP4/*.mp4")):
        if path.stem in (SERIALS["ILIAD"][2], SERIALS["IRIS"][2]) and lacking:
            path.unlink()
            lacking -= 1
    result = convert(two_labs, tmp_path / "out", "lerobot")
    assert result.written == written
    assert any("wrist" in each and "left out of all" in each for each in result.unshared) is not wrist
    assert open_reader(tmp_path / "out").entries[0].cameras == ("ext1", "ext2")
    assert json.loads(result.record.read_text())["unshared"] == result.unshared


def test_a_few_episodes_without_a_camera_dont_cost_the_others_theirs(tmp_path):
    for number in range(11):
        episode = make_episode(rows=2, seed=number, cameras=3)
        write_episode(tmp_path / "set", number, replace(episode, cameras=episode.cameras[: 2 if number == 0 else 3]))
    result = convert(tmp_path / "set", tmp_path / "out", "lerobot")
    assert (result.written, result.unshared) == (10, [])
    assert open_reader(tmp_path / "out").entries[0].cameras == ("ext1", "ext2", "wrist")
    (reason,) = result.left_out.values()
    assert "wrist_left missing" in reason and "droid or robomimic" in reason


def test_unknown_success_of_some_episodes_stays_unknown(tmp_path):
    for number, success in enumerate((True, None, False)):
        write_episode(tmp_path / "set", number, make_episode(rows=3 + number, seed=number, success=success))
    convert(tmp_path / "set", tmp_path / "out", "lerobot")
    assert [entry.success for entry in open_reader(tmp_path / "out").entries] == [True, None, False]


def test_names_in_a_data_set_write_no_files_elsewhere(tmp_path):
    """A camera's serial in our own notes, which a stranger's data set may have, too."""
    source = tmp_path / "source"
    with open_writer(source, "lerobot") as writer:
        writer.write(make_episode())
        writer.write(make_episode(seed=1))
    path = next((source / "meta" / "episodes").rglob("*.parquet"))
    table = pq.read_table(path)
    notes = [text.replace('"serial": "left"', '"serial": "../../../../../escaped"') for text in
             table.column(layout.NOTE).to_pylist()]  # fmt: skip
    assert notes != table.column(layout.NOTE).to_pylist()
    place = table.column_names.index(layout.NOTE)
    pq.write_table(table.set_column(place, layout.NOTE, pa.array(notes)), path)
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "out")}
    with pytest.raises(UserError, match="name of a file"):
        convert(source, tmp_path / "out" / "deep" / "er", "droid")
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "out")} == before
    assert not list(tmp_path.rglob("escaped*"))
