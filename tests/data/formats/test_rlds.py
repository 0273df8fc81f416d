"""What TFDS wrote is read without TensorFlow, and damage is told."""

import io
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.samples import damage
from vjepa_sim.data.encoded_frames import EncodedFrames
from vjepa_sim.data.formats import rlds
from vjepa_sim.data.formats.rlds.example import _message, parse_example
from vjepa_sim.data.formats.rlds.tfrecord import find_records, masked_crc, read_record
from vjepa_sim.envs.errors import UserError

GOLDEN = Path(__file__).parents[1] / "fixtures" / "rlds_golden"
SHARD = "r2d2_faceblur-train.tfrecord-00000-of-00001"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def golden(tmp_path):
    return Path(shutil.copytree(GOLDEN, tmp_path / "droid"))


def expected(number):
    with np.load(GOLDEN / "expected.npz") as file:
        mark = f"{number}/"
        return {name.removeprefix(mark): file[name] for name in file.files if name.startswith(mark)}


def write_records(path, records):
    """TFRecord, by its definition."""
    with open(path, "wb") as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data)))


def change(folder, number, edit):
    """Write the data set anew with one message edited; checksums are right again."""
    records = [read_record(folder / SHARD, each) for each in range(2)]
    example = _message("Example").FromString(records[number])
    edit(example.features.feature)
    records[number] = example.SerializeToString()
    write_records(folder / SHARD, records)


@pytest.mark.parametrize("number", [0, 1])
def test_numbers_are_those_that_tfds_reads(number):
    episode = rlds.open_reader(GOLDEN).read(number, extras=True)
    truth = expected(number)
    seen, sent = "observation/", "action_dict/"
    assert np.array_equal(episode.states[:, :6], truth[f"{seen}cartesian_position"])
    assert np.array_equal(episode.states[:, 6:], truth[f"{seen}gripper_position"])
    assert np.array_equal(episode.joints, truth[f"{seen}joint_position"])
    assert np.array_equal(episode.commands[:, :6], truth[f"{sent}cartesian_position"])
    assert np.array_equal(episode.commands[:, 6:], truth[f"{sent}gripper_position"])
    for name in ("cartesian_velocity", "joint_position", "joint_velocity"):
        assert np.array_equal(episode.extras[f"action/{name}"], truth[sent + name]), name
    assert np.array_equal(episode.extras["action/gripper_velocity"], truth[f"{sent}gripper_velocity"][:, 0])
    for name in ("action", "reward", "discount", "is_first", "is_last", "is_terminal"):
        assert np.array_equal(episode.extras[f"steps/{name}"], truth[name]), name
    assert episode.extras["steps/is_first"].dtype == bool
    assert len(episode.extras) == 10
    assert np.array_equal(episode.stamps, np.arange(5) / 15)
    assert episode.details == {"gripper": "robotiq", "source": truth["file_path"].item().decode()}


@pytest.mark.parametrize("number", [0, 1])
def test_pixels_are_those_that_tensorflow_decodes(number):
    """But for the rounding of two JPEG decoders."""
    for camera in rlds.open_reader(GOLDEN).read(number).cameras:
        truth = expected(number)[f"observation/{camera.serial}"].astype(int)
        error = np.abs(camera.frames[[0, 4]] - truth)
        assert error.max() <= 6 and error.mean() < 1.5, camera.serial
        assert camera.extrinsics is None


def test_entries_tell_what_is_there_without_pictures(monkeypatch):
    reader = rlds.open_reader(GOLDEN)
    first, second = reader.entries
    assert {first.task, second.task} == {"close the drawer – gently", "put the marker in the cup"}
    for number, entry in enumerate(reader.entries):
        episode = reader.read(number)
        assert (entry.rows, entry.cameras, entry.height, entry.width) == (5, ("ext1", "ext2", "wrist"), 36, 64)
        assert (entry.task, entry.success) == (episode.task, episode.success)
        assert entry.success == ("/success/" in episode.details["source"])
        assert entry.duration == pytest.approx(4 / 15) and not entry.error
        assert entry.period == pytest.approx(episode.period)
    monkeypatch.setattr(
        "vjepa_sim.data.formats.rlds.reader.peek_example", None
    )  # remembered: nothing is looked up again
    assert rlds.open_reader(GOLDEN).entries == reader.entries


def test_views():
    reader = rlds.open_reader(GOLDEN)
    assert [camera.role for camera in reader.read(0, ("left", "ext1", "wrist")).cameras] == ["ext1", "wrist"]
    assert [camera.role for camera in reader.read(0, ("right",)).cameras] == ["ext2"]
    assert [camera.role for camera in reader.read(0, ("wrist_image_left",)).cameras] == ["wrist"]
    with pytest.raises(UserError, match="no camera 'top'"):
        reader.read(0, ("top",))


def test_data_sets_are_found_in_their_versions_folder_with_or_without_tfds_account(golden):
    assert rlds.detect(golden) and rlds.detect(GOLDEN)
    shutil.move(golden, golden.parent / "name" / "1.0.0")
    assert rlds.detect(golden.parent / "name")
    (golden.parent / "name" / "1.0.0" / "dataset_info.json").unlink()
    (golden.parent / "name" / "1.0.0" / "features.json").unlink()
    reader = rlds.open_reader(golden.parent / "name")
    assert len(reader) == 2 and len(reader.read(1)) == 5
    assert not rlds.detect(golden.parent / "nowhere")
    (golden.parent / "empty").mkdir()
    assert not rlds.detect(golden.parent / "empty")
    with pytest.raises(UserError, match="no TFRecord files"):
        rlds.open_reader(golden.parent / "empty")


def test_shards_that_were_not_downloaded_are_left_out(golden):
    info = json.loads((golden / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["7", "2", "7"]
    (golden / "dataset_info.json").write_text(json.dumps(info))
    (golden / SHARD).rename(golden / SHARD.replace("00000-of-00001", "00001-of-00003"))
    reader = rlds.open_reader(golden)
    assert [entry.rows for entry in reader.entries] == [5, 5]
    assert reader.entries[1].name.endswith("00001-of-00003:1")


def test_a_truncated_shard_keeps_its_first_episodes(golden):
    path = golden / SHARD
    path.write_bytes(path.read_bytes()[:-100])
    reader = rlds.open_reader(golden)
    assert not reader.entries[0].error and "ends within record 1" in reader.entries[1].error
    assert len(reader.read(0)) == 5
    with pytest.raises(UserError, match=f"{SHARD}:1.*ends within record 1"):
        reader.read(1)


def test_a_flipped_bit_is_noticed(golden):
    path = golden / SHARD
    start, length = find_records(path).spans[0]
    data = bytearray(path.read_bytes())
    data[start + length // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{SHARD}:0.*checksum"):
        rlds.open_reader(golden).read(0)


def test_a_flipped_length_allocates_nothing(golden):
    path = golden / SHARD
    data = bytearray(path.read_bytes())
    data[6] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match="length of record 0 is damaged"):
        rlds.open_reader(golden).read(0)


def without(name):
    return lambda features: features.pop(name)


def shorter(name):
    def edit(features):
        kind = features[name].WhichOneof("kind")
        getattr(features[name], kind).value.pop()

    return edit


def not_a_number(features):
    features["steps/observation/cartesian_position"].float_list.value[8] = float("nan")


def no_picture(features):
    features["steps/observation/wrist_image_left"].bytes_list.value[3] = b"\xff\xd8 nothing"


def one_row(features):
    for name in features:
        values = getattr(features[name], features[name].WhichOneof("kind")).value
        if name.startswith("steps/"):
            del values[len(values) // 5 :]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without("steps/observation/cartesian_position"), "no steps/observation/cartesian_position"),
        (without("steps/action_dict/gripper_position"), "no steps/action_dict/gripper_position"),
        (shorter("steps/observation/cartesian_position"), "29 values; expected rows of 6"),
        (shorter("steps/observation/gripper_position"), "5 rows of .* and 4 of"),
        (shorter("steps/observation/exterior_image_2_left"), "4 images of exterior_image_2_left for 5 rows"),
        (not_a_number, "not finite, first in row 1"),
        (no_picture, "wrist_image_left, frame 3: not a JPEG"),
        (one_row, "at least 2 rows"),
    ],
)
def test_an_episode_that_does_not_fit_together_is_named(golden, edit, message):
    change(golden, 1, edit)
    reader = rlds.open_reader(golden)
    assert len(reader.read(0)) == 5
    with pytest.raises(UserError, match=message) as error:
        np.asarray(reader.read(1, extras=True).view("wrist").frames)
    assert str(golden) in str(error.value) and f"{SHARD}:1" in str(error.value)


def empty_wrist(features):
    values = features["steps/observation/wrist_image_left"].bytes_list.value
    values[:] = [b""] * len(values)


def test_a_camera_without_images_does_not_spoil_the_others(golden):
    change(golden, 1, empty_wrist)
    reader = rlds.open_reader(golden)
    assert reader.entries[1].cameras == ("ext1", "ext2")
    assert [camera.role for camera in reader.read(1).cameras] == ["ext1", "ext2"]
    assert reader.read(1, ("left",)).cameras[0].frames[:].any()
    with pytest.raises(UserError, match="no camera 'wrist'"):
        reader.read(1, ("wrist",))


@pytest.mark.parametrize(
    "edit", [no_picture, lambda features: features["steps/observation/wrist_image_left"].bytes_list.value.pop()]
)
def test_damage_of_a_camera_is_met_only_where_it_is_asked_for(golden, edit):
    change(golden, 1, edit)
    reader = rlds.open_reader(golden)
    assert reader.read(1, ("left",)).cameras[0].frames[:].any()
    with pytest.raises(UserError, match="wrist_image_left"):
        reader.read(1, ("wrist",)).cameras[0].frames[:]


@pytest.mark.parametrize("name", ["{} (1)", "{}.bak", "copy-{}", "x-train.tfrecord-00000-of-00002"])
def test_a_copied_shard_is_passed_over(golden, caplog, name):
    shutil.copy(golden / SHARD, golden / name.format(SHARD))
    assert len(rlds.open_reader(golden)) == 2
    assert "is passed over" in caplog.text


def test_hidden_files_and_unfinished_downloads_are_no_shards(golden):
    for name in (f"._{SHARD}", f"{SHARD}.part", f"{SHARD}.crdownload"):
        (golden / name).write_bytes(b"\x00\x05\x16\x07" + bytes(4000))
    assert len(rlds.open_reader(golden)) == 2
    (golden / SHARD).unlink()
    assert not rlds.detect(golden)


def test_other_file_formats_and_data_sets_are_refused(golden):
    change(golden, 0, without("steps/observation/cartesian_position"))
    assert "Only DROID's RLDS releases" in rlds.open_reader(golden).entries[0].error
    info = golden / "dataset_info.json"
    for content, message in (
        ('{"fileFormat": "array_record", "splits": []}', "only 'tfrecord'"),
        ('{"splits": [{"name": "train", "shardLengths": ["1000000000000"]}]}', "incomplete"),
        ('{"splits": [{"name": "train", "shardLengths": ["-1"]}]}', "negative"),
        ('{"splits": 3}', "splits"),
        ("[]", "JSON object"),
    ):
        info.write_text(content)
        with pytest.raises(UserError, match=message):
            rlds.open_reader(golden)


def encoded(frames, kind="PNG"):
    files = []
    for frame in frames:
        files.append(io.BytesIO())
        Image.fromarray(frame).save(files[-1], kind)
    return [file.getvalue() for file in files]


def test_frames_are_indexed_as_numpy_would():
    frames = np.random.default_rng(0).integers(0, 255, (9, 12, 20, 3), np.uint8)
    lazy = EncodedFrames("here", encoded(frames))
    assert lazy.shape == frames.shape and lazy.dtype == np.uint8 and len(lazy) == 9
    for index in (3, -1, slice(2, 8, 3), [4, 0, 4], np.array([[1, 2], [8, 1]]), np.arange(9) > 5, []):
        assert np.array_equal(lazy[index], frames[index]), index
    assert np.array_equal(np.asarray(lazy), frames)
    assert np.array_equal(lazy.cut(4)[:], frames[:4])
    with pytest.raises(IndexError):
        lazy[9]
    with pytest.raises(IndexError):
        lazy.cut(4)[4]
    with pytest.raises(UserError, match="9 frames"):
        lazy.cut(10)


def test_frames_are_reduced_by_area():
    frames = np.random.default_rng(0).integers(0, 255, (2, 12, 20, 3), np.uint8)
    small = EncodedFrames("here", encoded(frames)).reduced(6)
    assert small.shape == (2, 6, 10, 3)
    means = frames.reshape(2, 6, 2, 10, 2, 3).mean((2, 4))
    assert np.abs(small[:] - means).max() <= 1
    assert small.reduced(None).shape == frames.shape and small.reduced(50).shape == frames.shape
    assert small.cut(1).shape == (1, 6, 10, 3)


def test_pictures_of_another_size_or_absurdly_large_are_refused():
    big, small = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 4, 8, 3), np.uint8)
    with pytest.raises(UserError, match="frame 1"):
        EncodedFrames("here", encoded(big) + encoded(small))[:]
    bomb = bytearray(encoded(big)[0])
    bomb[16:24] = struct.pack(">II", 60000, 60000)
    with pytest.raises(UserError, match="frame 0"):
        EncodedFrames("here", [bytes(bomb)])
    with pytest.raises(UserError, match="no images"):
        EncodedFrames("here", [])


def read_everything(folder):
    """Works, or is the user's error; nothing else."""
    try:
        reader = rlds.open_reader(folder)
    except UserError:
        return
    for number in range(len(reader)):
        try:
            for camera in reader.read(number, extras=True).cameras:
                np.asarray(camera.frames)
        except UserError as error:
            assert str(folder) in str(error)


@given(damage=damage(), name=st.sampled_from([SHARD, SHARD, SHARD, "dataset_info.json", "features.json"]))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_damaged_files_are_the_users_error(tmp_path_factory, damage, name):
    folder = Path(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("fuzz") / "droid"))
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    read_everything(folder)


@given(damage=damage())
@settings(max_examples=30, derandomize=True, deadline=None)
def test_damaged_messages_with_good_checksums_are_the_users_error(tmp_path_factory, damage):
    folder = Path(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("fuzz") / "droid"))
    records = [read_record(folder / SHARD, number) for number in range(2)]
    write_records(folder / SHARD, [damage(records[0]), records[1]])
    read_everything(folder)


def test_messages_are_read_by_name():
    example = _message("Example")()
    example.features.feature["a"].float_list.value.extend([1.5, 2.0])
    example.features.feature["b"].int64_list.value.append(-3)
    example.features.feature["c"].bytes_list.value.append(b"x")
    example.features.feature["d"].SetInParent()
    features = parse_example(example.SerializeToString())
    assert features["a"].tolist() == [1.5, 2.0] and features["b"].tolist() == [-3] and features["c"] == [b"x"]
    assert features["d"] == []
    with pytest.raises(UserError, match="Example"):
        parse_example(b"\x0a\xff\xff")
