"""Rows, episodes and frames of shared videos are found by time, and checked against each other."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.coded import number, numbered, write
from tests.data.formats.lerobot.sets import DATA, EPISODES, VIDEO, change_column, edit_info
from vjepa_sim.data.formats.lerobot import open_reader
from vjepa_sim.envs.errors import UserError

CAMERA = "observation.images.exterior_1_left"
LENGTHS = (15, 20, 15, 20)
BEGIN = np.concatenate([[0], np.cumsum(LENGTHS)])
ALL = np.concatenate([numbered(rows, 100 * episode) for episode, rows in enumerate(LENGTHS)])


def small_set(
    root, *, fps=15, starts=None, frames=ALL, video_fps=None, frame_stamps=None, stamps=None, statistics=False
):
    """Four episodes that share a video; frame 100 * episode + row."""
    axes = ["x", "y", "z", "roll", "pitch", "yaw"]
    features = {
        CAMERA: {"dtype": "video", "shape": [48, 96, 3], "names": ["height", "width", "channels"]},
        "observation.state.cartesian_position": {"dtype": "float32", "shape": [6], "names": {"axes": axes}},
        "observation.state.gripper_position": {"dtype": "float32", "shape": [1], "names": {"axes": ["gripper"]}},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    }
    features |= {
        name: {"dtype": "int64", "shape": [1], "names": None}
        for name in ("frame_index", "episode_index", "index", "task_index")
    }
    place = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    info = {
        "codebase_version": "v3.0", "robot_type": "franka", "fps": fps, "features": features, "chunks_size": 1000,
        "data_path": f"data/{place}.parquet", "video_path": f"videos/{{video_key}}/{place}.mp4",
    }  # fmt: skip
    for file in (DATA, EPISODES):
        (root / file).parent.mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    write(root / VIDEO, frames, rate=video_fps or fps, stamps=frame_stamps)
    starts = BEGIN[:-1] / fps if starts is None else np.asarray(starts, float)
    times = [np.arange(rows) / fps for rows in LENGTHS] if stamps is None else stamps
    parts = []
    for episode, rows in enumerate(LENGTHS):
        pose = (0.3 + 0.01 * np.random.default_rng(episode).uniform(size=(rows, 6))).astype(np.float32)
        parts.append(
            pa.table(
                {
                    "observation.state.cartesian_position": pa.FixedSizeListArray.from_arrays(
                        pa.array(pose.ravel()), 6
                    ),
                    "observation.state.gripper_position": np.linspace(0, 1, rows).astype(np.float32),
                    "timestamp": times[episode].astype(np.float32),
                    "frame_index": np.arange(rows),
                    "episode_index": np.full(rows, episode),
                    "index": np.arange(BEGIN[episode], BEGIN[episode + 1]),
                    "task_index": np.zeros(rows, int),
                }
            )
        )
    pq.write_table(pa.concat_tables(parts), root / DATA)
    zeros, prefix = np.zeros(len(LENGTHS), int), f"videos/{CAMERA}"
    columns = {
        "episode_index": np.arange(len(LENGTHS)),
        "tasks": [["pick"]] * len(LENGTHS),
        "length": np.array(LENGTHS),
        **{f"{kind}/{name}_index": zeros for kind in ("data", prefix) for name in ("chunk", "file")},
        "dataset_from_index": BEGIN[:-1],
        "dataset_to_index": BEGIN[1:],
        f"{prefix}/from_timestamp": starts,
        f"{prefix}/to_timestamp": starts + np.array(LENGTHS) / fps,
    }
    if statistics:
        columns |= {f"stats/timestamp/{name}": [[float(pick(each))] for each in times]
                    for name, pick in (("min", np.min), ("max", np.max))}  # fmt: skip
    pq.write_table(pa.table(columns), root / EPISODES)
    return root


def assert_right(root, episodes=range(4)):
    reader = open_reader(root)
    for episode in episodes:
        frames = reader.read(episode).cameras[0].frames[[0, -1]]
        assert [number(frame) for frame in frames] == [100 * episode, 100 * episode + LENGTHS[episode] - 1]


def error_of(root, episode):
    with pytest.raises(UserError) as error:
        open_reader(root).read(episode)
    return str(error.value)


def test_episodes_that_claim_the_same_frames_are_named(tmp_path):
    root = small_set(tmp_path / "set", starts=[0, 1, 1, 2])
    assert_right(root, [0])
    for episode in (1, 2, 3):
        assert f"episodes 1 and 2 claim frames 15 to 29 of {VIDEO}" in error_of(root, episode)
    assert [bool(entry.error) for entry in open_reader(root).entries] == [False, True, True, True]


@pytest.mark.parametrize("lost", [8, 15, 34])
def test_a_lost_frame_is_the_error_of_its_row_alone(tmp_path, lost):
    keep = np.delete(np.arange(len(ALL)), lost)
    root = small_set(tmp_path / "set", frames=ALL[keep], frame_stamps=keep)
    bad = int(np.searchsorted(BEGIN, lost, side="right")) - 1
    assert_right(root, [episode for episode in range(4) if episode != bad])
    frames, row = open_reader(root).read(bad).cameras[0].frames, lost - BEGIN[bad]
    others = np.delete(np.arange(LENGTHS[bad]), row)
    assert [number(frame) for frame in frames[others]] == (100 * bad + others).tolist()
    with pytest.raises(UserError, match=rf"{VIDEO}: the video has no frame at the time of row {row}"):
        frames[:]


def test_a_lost_frame_that_stamps_do_not_show_is_an_error_of_the_file(tmp_path):
    root = small_set(tmp_path / "set", frames=np.delete(ALL, 8, 0))
    for episode in range(4):
        assert "69 frames" in error_of(root, episode)


@pytest.mark.parametrize(
    "starts",
    [
        (BEGIN[:-1] + np.arange(4)) / 15,
        (BEGIN[:-1] - np.arange(4)) / 15,
        BEGIN[:-1] / 15 * 0.99,
        BEGIN[:-1] / 15 * 1.004,
    ],
)
def test_starts_that_drift_are_errors(tmp_path, starts):
    root = small_set(tmp_path / "set", starts=starts)
    for episode in range(1, 4):
        assert error_of(root, episode)


def test_a_video_at_twice_the_rows_rate(tmp_path):
    assert_right(small_set(tmp_path / "set", frames=np.repeat(ALL, 2, 0), video_fps=30))


def test_a_container_with_another_rate_and_a_frame_for_each_row(tmp_path, caplog):
    assert_right(small_set(tmp_path / "set", video_fps=30))
    assert "30 frames per second, the data set 15" in caplog.text


def test_a_video_with_fewer_frames_than_rows_is_an_error(tmp_path):
    root = small_set(tmp_path / "set", frames=ALL[::2], video_fps=7.5, starts=np.round(BEGIN[:-1] / 15 * 7.5) / 7.5)
    assert error_of(root, 0) and error_of(root, 1)


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("rate", [5.0, 14.0])
def test_stamps_of_the_hardware_are_the_episodes(tmp_path, rate, statistics):
    """They are in the index, too, by the statistics or the rows."""
    stamps = [np.arange(rows) / rate for rows in LENGTHS]
    root = small_set(tmp_path / "set", stamps=stamps, statistics=statistics)
    assert_right(root)
    reader = open_reader(root)
    for episode, entry in enumerate(reader.entries):
        assert np.allclose(reader.read(episode).stamps, stamps[episode], atol=1e-5)
        assert entry.period == pytest.approx(1 / rate, rel=1e-5)
        assert entry.duration == pytest.approx((LENGTHS[episode] - 1) / rate, rel=1e-5)


def test_stamps_that_tremble_do_not_shift_frames(tmp_path):
    rng = np.random.default_rng(0)
    stamps = [np.arange(rows) / 15 + rng.uniform(0, 0.05, rows) for rows in LENGTHS]
    root = small_set(tmp_path / "set", stamps=stamps)
    assert_right(root)
    assert np.allclose(open_reader(root).read(1).stamps, stamps[1] - stamps[1][0], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda times: times * 1000, r"0\.015 rows per second, meta/info\.json's fps is 15"),
        (lambda times: times * 0, "row 1 has 0 s"),
        (lambda times: np.where(np.arange(len(times)) == 4, np.nan, times), "row 4 has nan"),
    ],
)
def test_stamps_that_cannot_be_seconds_are_refused(tmp_path, change, message):
    root = small_set(tmp_path / "set", stamps=[change(np.arange(rows) / 15) for rows in LENGTHS])
    with pytest.raises(UserError, match=message):
        open_reader(root).read(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda old: -0.04 * (1 - old), r"from -0\.04 to 0.*finger in metres"),
        (lambda old: 0.08 * (1 - old), r"from 0 to 0\.08.*width in metres"),
        (lambda old: 2 * old - 1, "from -1 to 1.*command"),
        (lambda old: 80 * old, "from 0 to 80.*millimetres"),
        (lambda old: 255 * old, "from 0 to 255.*own unit"),
    ],
)
def test_a_gripper_that_is_not_closedness_is_refused(tmp_path, change, message):
    root = small_set(tmp_path / "set")
    change_column(root, DATA, "observation.state.gripper_position", lambda old: change(np.array(old)).tolist())
    with pytest.raises(UserError, match=message):
        open_reader(root)


@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_a_gripper_that_never_moves_is_read(tmp_path, offset):
    root = small_set(tmp_path / "set")
    change_column(root, DATA, "observation.state.gripper_position", lambda old: [offset] * len(old))
    assert open_reader(root).read(0).states[:, 6] == pytest.approx(offset)


@pytest.mark.parametrize(("highest", "success"), [(1.0, True), (0.0, False), (0.4, None), (3.0, None)])
def test_a_dense_reward_is_no_success(tmp_path, highest, success):
    root = small_set(tmp_path / "set")
    table = pq.read_table(root / DATA)
    column = pa.array(np.minimum(np.arange(len(table)), highest).astype(np.float32))
    pq.write_table(table.append_column("next.success", column), root / DATA)
    edit_info(root, change=lambda info: info["features"].update({"next.success": {"dtype": "float32", "shape": [1]}}))
    assert open_reader(root).read(1).success is success


def test_a_cameras_damaged_poses_are_unknown(tmp_path):
    root = small_set(tmp_path / "set")
    table, name = pq.read_table(root / DATA), "camera_extrinsics.exterior_1_left"
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.full(6 * len(table), np.nan)), 6)
    pq.write_table(table.append_column(name, column), root / DATA)
    edit_info(root, change=lambda info: info["features"].update({name: {"dtype": "float64", "shape": [6]}}))
    assert open_reader(root).read(1).cameras[0].extrinsics is None


def test_hidden_files_and_unfinished_downloads_are_no_tables(tmp_path):
    root = small_set(tmp_path / "set")
    folder = (root / EPISODES).parent
    (folder / "._file-000.parquet").write_bytes(b"\x00\x05\x16\x07" + bytes(4000))
    (folder / "file-001.parquet.part").write_bytes(b"PAR1")
    assert len(open_reader(root)) == 4
    (folder / "file-000 (1).parquet").write_bytes((root / EPISODES).read_bytes())
    with pytest.raises(UserError, match=r"more than once, first episode 0.*copy"):
        open_reader(root)


def test_a_table_that_claims_too_many_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("vjepa_sim.data.formats.lerobot.tables.MAX_ROWS", 60)
    assert "claims 70 rows" in error_of(small_set(tmp_path / "set"), 1)


@pytest.mark.parametrize("name", ["data_path", "video_path"])
@pytest.mark.parametrize("path", ["../{video_key}x", "/etc/x", "a/../../x"])
def test_paths_stay_inside_the_data_set(tmp_path, name, path):
    root = small_set(tmp_path / "set")
    edit_info(root, **{name: path.replace("{video_key}", "")})
    with pytest.raises(UserError, match="doesn't lead to a file of the data set"):
        open_reader(root).read(0)
