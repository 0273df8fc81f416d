"""What is written reads back."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.data.formats.lerobot.sets import (
    DATA,
    EPISODES,
    GOLDEN,
    VIDEO,
    all_of,
    assert_same,
    drop_column,
    rich_episode,
    write,
)
from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.data.formats.lerobot import detect, open_reader, open_writer
from vjepa_sim.data.formats.lerobot.content import columns_of
from vjepa_sim.data.formats.lerobot.layout import ARM_NAME, INFO
from vjepa_sim.data.formats.lerobot.rolling import Limits
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import difference


def test_reading_gives_back_what_was_written(tmp_path):
    episodes = [*(rich_episode(seed) for seed in range(2)), rich_episode(2, seed=None)]
    root = write(tmp_path / "set", *episodes)
    for back, episode in zip(all_of(root), episodes, strict=True):
        assert_same(back, episode)
    for entry, episode in zip(open_reader(root).entries, episodes, strict=True):
        assert (entry.rows, entry.success, entry.task) == (6, episode.success, episode.task)
        assert (entry.seed, entry.gripper, entry.height, entry.width) == (episode.seed, "robotiq", 32, 48)
        assert entry.duration == episode.stamps[-1] - episode.stamps[0]
        assert entry.period == episode.period
        assert entry.cameras == ("ext1", "ext2", "wrist")
    assert open_reader(root).read(0).extras == {}


@pytest.mark.parametrize(("arm", "robot"), [(None, "franka"), ("panda", "franka"), ("ur5e", "ur5e")])
def test_the_robot_is_the_recorded_arm(tmp_path, arm, robot):
    details = {"gripper": "robotiq", **({} if arm is None else {"arm": arm})}
    root = write(tmp_path / "set", rich_episode(0, details=details))
    assert json.loads((root / INFO).read_text())["robot_type"] == robot
    (entry,) = open_reader(root).entries
    assert (entry.arm, entry.gripper) == (arm or "", "robotiq")
    if arm is None:  # as sets of older versions, which have no such column
        drop_column(root, EPISODES, ARM_NAME)
        assert open_reader(root).entries[0].arm == ""


@pytest.mark.parametrize("source", ["ours", "golden"])
def test_write_read_write_is_identical(tmp_path, source):
    """But for statistics of pictures, which have been through the codec once more."""
    episodes = [rich_episode(seed) for seed in range(3)] if source == "ours" else all_of(GOLDEN)
    first = write(tmp_path / "first", *episodes)
    second = write(tmp_path / "second", *all_of(first))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    for file in files:
        if file.suffix == ".json" and file.name != "stats.json":
            assert (first / file).read_text() == (second / file).read_text()
        if file.suffix == ".parquet":
            one, other = pq.read_table(first / file), pq.read_table(second / file)
            numbers = [name for name in one.column_names if not name.startswith("stats/observation.images")]
            assert one.column_names == other.column_names and one.select(numbers).equals(other.select(numbers)), file
    one, other = (json.loads((root / "meta/stats.json").read_text()) for root in (first, second))
    assert one.keys() == other.keys()
    for name in one:
        if name.startswith("observation.images"):
            assert np.allclose(one[name]["mean"], other[name]["mean"], atol=0.02)
        else:
            assert one[name] == other[name]


def test_the_layout_is_lerobots(tmp_path):
    root = write(tmp_path / "set", *(rich_episode(seed) for seed in range(3)))
    golden, info = (json.loads((each / INFO).read_text()) for each in (GOLDEN, root))
    assert info.keys() == golden.keys()
    for name in ("codebase_version", "data_path", "video_path", "chunks_size", "data_files_size_in_mb"):
        assert info[name] == golden[name]
    assert (info["fps"], info["total_episodes"], info["total_frames"], info["total_tasks"]) == (4, 3, 18, 2)
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index", "next.success"):
        assert info["features"][name] == golden["features"][name]
    for file in (DATA, EPISODES, "meta/tasks.parquet"):
        ours, theirs = pq.read_schema(root / file), pq.read_schema(GOLDEN / file)
        for name in set(ours.names) & set(theirs.names) - {"observation.state"}:
            assert ours.field(name).type == theirs.field(name).type or str(ours.field(name).type).replace(
                "item", "element"
            ) == str(theirs.field(name).type), name
        missing = {name for name in theirs.names if "observation.state" not in name} - set(ours.names)
        assert not missing
    assert json.loads(pq.read_schema(root / "meta/tasks.parquet").metadata[b"pandas"])["index_columns"] == ["task"]
    metadata = pq.read_metadata(root / DATA)
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [6, 6, 6]


def test_numbers_for_lerobots_policies(tmp_path):
    episode = rich_episode()
    table = pq.read_table(write(tmp_path / "set", episode, episode) / DATA)
    rows = {name: np.array(table.column(name).to_pylist()) for name in table.column_names}
    state, action = rows["observation.state"][:6], rows["action"][:6]
    assert np.array_equal(state, episode.states.astype(np.float32))
    assert np.array_equal(action[:-1], difference(episode.states[:-1], episode.states[1:]).astype(np.float32))
    assert not action[-1].any()
    assert np.array_equal(rows["timestamp"], (rows["frame_index"] / 4).astype(np.float32))
    assert np.array_equal(rows["index"], np.arange(12))
    assert rows["next.done"].nonzero()[0].tolist() == [5, 11]


def test_statistics_are_those_of_the_numbers(tmp_path):
    episodes = [rich_episode(seed, rows=10 + seed) for seed in range(3)]
    stats = json.loads((write(tmp_path / "set", *episodes) / "meta/stats.json").read_text())
    every = np.concatenate([columns_of(episode)["observation.state"] for episode in episodes]).astype(float)
    found = stats["observation.state"]
    for name, expected in (
        ("min", every.min(0)),
        ("max", every.max(0)),
        ("mean", every.mean(0)),
        ("std", every.std(0)),
    ):
        assert np.allclose(found[name], expected), name
    assert found["count"] == [33]
    pictures = stats["observation.images.exterior_1_left"]
    shades = np.concatenate([episode.view("ext1").frames[:, 0, 0, 0] for episode in episodes]) / 255
    assert np.shape(pictures["mean"]) == (3, 1, 1)
    assert np.allclose(np.ravel(pictures["mean"]), shades.mean(), atol=1e-6)
    assert np.allclose(np.ravel(pictures["std"]), shades.std(), atol=1e-6)
    assert np.allclose(np.ravel(pictures["min"]), shades.min()) and np.allclose(np.ravel(pictures["max"]), shades.max())


@pytest.mark.parametrize("cameras", [1, 3])
def test_lerobot_doctor_finds_no_failure(tmp_path, cameras):
    import lerobot_doctor.dataset_loader as loader
    from lerobot_doctor.runner import run_checks

    episodes = [rich_episode(seed, rows=20, cameras=cameras) for seed in range(4)]
    report = run_checks(loader.load_dataset(str(write(tmp_path / "set", *episodes))))
    assert len(report.results) == 11
    failures = [
        message.message for each in report.results for message in each.messages if message.severity.value == "FAIL"
    ]
    assert failures == []
    severities = {each.name: each.severity.value for each in report.results}
    for name in ("Metadata & Format Compliance", "Temporal Consistency", "Video Integrity", "Feature Consistency"):
        assert severities[name] == "PASS", name


def noisy_episode(seed):
    frames = np.random.default_rng(seed).integers(0, 255, (30, 96, 96, 3)).astype(np.uint8)
    episode = make_episode(30, seed, 1)
    return replace(episode, cameras=(replace(episode.cameras[0], frames=frames),))


def test_files_roll_over(tmp_path):
    """Noise, which fills files."""
    episodes = [noisy_episode(seed) for seed in range(7)]
    root = write(tmp_path / "set", *episodes, limits=Limits(data_megabytes=0.01, video_megabytes=0.4, files=2))
    assert (root / "data/chunk-001/file-000.parquet").is_file()
    videos = sorted((root / "videos/observation.images.exterior_1_left").rglob("*.mp4"))
    assert len(videos) > 2 and videos[2].parent.name == "chunk-001"
    assert max(path.stat().st_size for path in videos) < 2 * 0.4 * 2**20  # what the encoder holds back isn't counted
    reader = open_reader(root)
    for number, episode in enumerate(episodes):
        back = reader.read(number)
        assert np.array_equal(back.states, episode.states)
    # A frame of another episode would be as far off as noise from noise.
    for number, episode in enumerate(episodes):
        back = reader.read(number).cameras[0].frames[:].astype(float)
        apart = [np.abs(back - each.cameras[0].frames).mean() for each in episodes]
        assert np.argmin(apart) == number


def test_odd_sizes_are_padded(tmp_path):
    episode = make_episode()
    camera = replace(episode.cameras[0], frames=smooth_frames(6, 31, 47))
    root = write(tmp_path / "set", replace(episode, cameras=(camera,)))
    assert open_reader(root).read(0).cameras[0].frames.shape == (6, 32, 48, 3)
    assert open_reader(root).entries[0].height == 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stamps": np.arange(6) * 0.1}, "10 rows per second, not 4"),
        ({"joints": None}, r"observation.state.joint_position missing, not float64 \[7\]"),
        ({"commands": None}, "action.cartesian_position missing"),
        ({"success": None}, "next.success missing"),
        ({"privileged": {"distance": np.zeros((6, 2))}}, r"distance float64 \[2\], not missing"),
        ({"cameras": make_episode(cameras=3).cameras}, r"exterior_2_left video \[32, 48, 3\], not missing"),
        ({"stamps": np.arange(6) * 0.3}, "3.33 rows per second, not 4"),
        ({"stamps": np.arange(6) * 1.5}, "0.667 rows per second, not 4"),
        ({"details": {"not JSON": object()}}, "JSON"),
        ({"seed": 2**64}, "64 bits"),
        ({"extras": {"complex": np.zeros(6, complex)}}, "complex"),
    ],
)
def test_an_episode_that_does_not_fit_is_refused(tmp_path, changes, message):
    """And the set goes on without it."""
    root = tmp_path / "set"
    with open_writer(root) as writer:
        writer.write(make_episode())
        with pytest.raises(UserError, match=message) as error:
            writer.write(replace(make_episode(), **changes))
        assert "Episode 1" in str(error.value)
        writer.write(make_episode(seed=2))
    assert len(open_reader(root)) == 2
    assert np.array_equal(open_reader(root).read(1).states, make_episode(seed=2).states)


def at_rate(rate, rows=6, **changes):
    return make_episode(rows, stamps=1.7e9 + np.arange(rows) / rate, **changes)


@pytest.mark.parametrize(
    ("rate", "fps"),
    [(14.5, 15), (14.08, 15), (15.15, 15), (29.97, 30), (23.98, 24), (1.05, 1), (8, 8), (7.9, 8), (100, 100)],
)
def test_a_set_has_a_nominal_rate(tmp_path, rate, fps):
    root = write(tmp_path / "set", at_rate(rate))
    assert json.loads((root / INFO).read_text())["fps"] == fps
    assert np.array_equal(open_reader(root).read(0).stamps, at_rate(rate).stamps)


@pytest.mark.parametrize("rate", [0.667, 3.45, 7.5, 8.5])
def test_a_rate_that_is_no_sets_is_refused(tmp_path, rate):
    with open_writer(tmp_path / "set") as writer, pytest.raises(UserError, match=f"{rate} Hz.*Resample it"):
        writer.write(at_rate(rate))


def test_the_rate_of_droids_clock_may_vary(tmp_path):
    """Rows are 66 to 71 ms apart, by other milliseconds in each episode."""
    rng = np.random.default_rng(0)
    episodes = [
        make_episode(20, seed, stamps=(1.7e12 + np.cumsum(wait + rng.integers(-2, 3, 20))) / 1000)
        for seed, wait in enumerate((71, 66, 69))
    ]
    root = write(tmp_path / "set", *episodes)
    assert json.loads((root / INFO).read_text())["fps"] == 15
    reader = open_reader(root)
    for number, episode in enumerate(episodes):
        assert_same(reader.read(number), episode)
        assert reader.entries[number].period == episode.period
        assert reader.entries[number].duration == episode.stamps[-1] - episode.stamps[0]


def test_only_what_differs_is_told(tmp_path):
    with open_writer(tmp_path / "set") as writer:
        writer.write(at_rate(15, extras={"force": np.zeros((6, 1))}))
        with pytest.raises(UserError, match=r"before: 13 rows per second, not 15\. Write"):
            writer.write(at_rate(13, extras={"force": np.zeros((6, 1))}))
        with pytest.raises(UserError, match=r"before: vjepa_sim.extras.force float64, not float64 \[1\]. Write"):
            writer.write(at_rate(15, extras={"force": np.zeros(6)}))


def test_another_size_is_refused(tmp_path):
    small = replace(make_episode().cameras[0], frames=smooth_frames(6, 16, 16))
    with open_writer(tmp_path / "set") as writer:
        writer.write(make_episode())
        with pytest.raises(UserError, match=r"video \[16, 16, 3\], not video \[32, 48, 3\]"):
            writer.write(replace(make_episode(), cameras=(small,)))


def test_an_interrupted_set_is_readable(tmp_path):
    """An error between two episodes, and one in the middle of an episode's frames."""
    source = write(tmp_path / "source", make_episode(rows=80, cameras=3))
    lost = open_reader(source).read(0)
    lost.view("ext2").frames[:]
    path = source / VIDEO.replace("1_left", "2_left")
    content = bytearray(path.read_bytes())
    content[200:-3000] = bytes(len(content) - 3200)
    path.write_bytes(content)
    root = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt), open_writer(root) as writer:
        writer.write(make_episode(seed=1, cameras=3))
        with pytest.raises(UserError, match="decoded"):
            writer.write(lost)
        writer.write(make_episode(seed=2, cameras=3))
        raise KeyboardInterrupt
    first, second = all_of(root)
    assert_same(first, make_episode(seed=1, cameras=3))
    assert_same(second, make_episode(seed=2, cameras=3))


def test_nothing_is_written_without_an_episode(tmp_path):
    with open_writer(tmp_path / "set"):
        pass
    assert not (tmp_path / "set").exists()


def test_the_first_episode_fails(tmp_path):
    class Broken:
        shape, dtype = (6, 32, 48, 3), np.dtype(np.uint8)

        def __len__(self):
            return 6

        def __getitem__(self, index):
            raise UserError("can't be decoded")

    camera = replace(make_episode().cameras[0], frames=Broken())
    with open_writer(tmp_path / "set") as writer:
        with pytest.raises(UserError, match="decoded"):
            writer.write(replace(make_episode(), cameras=(camera,)))
        writer.write(make_episode())
    assert len(open_reader(tmp_path / "set")) == 1


def test_detect(tmp_path):
    assert detect(GOLDEN)
    assert detect(write(tmp_path / "set", make_episode()))
    assert not detect(tmp_path)
    assert not detect(GOLDEN / INFO)
    assert not detect(tmp_path / "nowhere")


def test_views_open_only_their_videos(tmp_path):
    root = write(tmp_path / "set", rich_episode())
    shutil.rmtree(root / "videos/observation.images.exterior_2_left")
    reader = open_reader(root)
    assert [camera.role for camera in reader.read(0, ("left", "wrist")).cameras] == ["ext1", "wrist"]
    assert [camera.role for camera in reader.read(0, ("ext1", "left")).cameras] == ["ext1"]
    for views in (None, ("right",)):
        with pytest.raises(UserError, match="exterior_2_left"):
            reader.read(0, views)
    with pytest.raises(UserError, match="no camera 'top'"):
        reader.read(0, ("top",))
