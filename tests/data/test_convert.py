"""From any format to any other and back: every number stays."""

import json

import numpy as np
import pytest

from tests.data.samples import make_episode
from vjepa_sim.data.convert import convert
from vjepa_sim.data.formats import FORMATS, detect, open_reader, open_writer
from vjepa_sim.data.formats.droid import write_episode
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
