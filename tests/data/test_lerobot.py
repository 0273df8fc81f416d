"""What is written reads back, the golden set of LeRobot itself reads, and no damage raises anything but UserError."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.data.formats.lerobot import LeRobotWriter, detect, open_reader, open_writer
from vjepa_sim.data.formats.lerobot.content import columns_of
from vjepa_sim.data.formats.lerobot.layout import INFO, OWN_COLUMNS, Feature, camera_roles, fill
from vjepa_sim.data.formats.lerobot.rolling import Limits
from vjepa_sim.data.video import Video
from vjepa_sim.envs.arms.panda import flange_poses
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import difference

GOLDEN = Path(__file__).parent / "fixtures" / "lerobot_v3_golden"
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.exterior_1_left/chunk-000/file-000.mp4"


def rich_episode(number=0, rows=6, cameras=3, **changes):
    """Every kind of number that an episode can hold."""
    rng = np.random.default_rng(number + 100)
    episode = make_episode(rows, number, cameras, success=bool(number % 2), task=f"task {number % 2}")
    extras = {
        "observation/controller_info/forces": rng.normal(size=(rows, 3, 2)),
        "100 % of it": rng.normal(size=(rows, 1)).astype(np.float32),
        "flags": rng.uniform(size=rows) > 0.5,
        "counts": rng.integers(0, 2**63 - 1, rows),
        "small": rng.integers(0, 255, (rows, 2)).astype(np.uint8),
        "words": np.array([f"word {row}" for row in range(rows)]),
    }
    privileged = {**episode.privileged, "distance": rng.uniform(size=rows), "height": rng.uniform(size=(rows, 1))}
    # Real stamps: nearly regular.
    stamps = 1e9 + np.cumsum(0.25 + rng.uniform(-0.002, 0.002, rows))
    return replace(episode, **{"extras": extras, "privileged": privileged, "stamps": stamps, **changes})


def write(root, *episodes, limits=Limits()):
    with LeRobotWriter(root, limits) as writer:
        for episode in episodes:
            writer.write(episode)
    return root


def all_of(root):
    reader = open_reader(root)
    return [reader.read(number, extras=True) for number in range(len(reader))]


def assert_same(back, episode):
    for name in ("states", "stamps", "commands", "joints"):
        one, other = getattr(back, name), getattr(episode, name)
        assert (one is None) == (other is None), name
        assert one is None or (np.array_equal(one, other) and one.dtype == other.dtype), name
    for name in ("task", "success", "behavior", "seed", "details"):
        assert getattr(back, name) == getattr(episode, name), name
    for name in ("privileged", "extras"):
        one, other = getattr(back, name), getattr(episode, name)
        assert set(one) == set(other)
        for key, array in other.items():
            assert np.array_equal(one[key], array) and one[key].dtype == array.dtype, key
    assert [camera.role for camera in back.cameras] == [camera.role for camera in episode.cameras]
    for one, other in zip(back.cameras, episode.cameras, strict=True):
        assert one.serial == other.serial
        for name in ("extrinsics", "intrinsics"):
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None and b is None) or np.array_equal(a, b), name
        assert np.abs(one.frames[:].astype(int) - np.asarray(other.frames)).max() <= 4


def test_the_golden_set_reads():
    """Written by lerobot 0.6.1."""
    reader = open_reader(GOLDEN)
    assert [entry.rows for entry in reader.entries] == [12, 13, 14]
    assert [entry.task for entry in reader.entries] == ["reach", "reach", "pick up the cube"]
    assert all(entry.success and not entry.error and entry.cameras == ("ext1",) for entry in reader.entries)
    table = pq.read_table(GOLDEN / DATA)
    state, action = (np.array(table.column(name).to_pylist()) for name in ("observation.state", "action"))
    first = 0
    for number in range(3):
        episode = reader.read(number, extras=True)
        rows = slice(first, first + len(episode))
        first += len(episode)
        assert np.array_equal(episode.joints, state[rows, :7])
        assert np.array_equal(episode.states[:, :6], flange_poses(state[rows, :7]))
        assert np.array_equal(episode.states[:, 6], state[rows, 7])
        assert np.array_equal(episode.extras["action"], action[rows])
        assert np.allclose(episode.stamps, np.arange(len(episode)) / 15)
        assert episode.success and episode.commands is None
        video = Video(GOLDEN / VIDEO)
        assert np.array_equal(episode.view("left").frames[:], video[rows])
        assert reader.read(number).extras == {}
    assert first == 39


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


def test_roles_of_cameras():
    def roles(*names, dtype="video"):
        return camera_roles({f"observation.images.{name}": Feature(dtype, (8, 8, 3)) for name in names})

    assert roles("exterior_2_left") == {"ext2": "observation.images.exterior_2_left"}
    assert {role: name.split(".")[-1] for role, name in roles("top", "eye_in_hand", "front", "side").items()} == {
        "ext1": "front",
        "ext2": "side",
        "wrist": "eye_in_hand",
        "top": "top",
    }
    depth = Feature("video", (8, 8, 3), info={"is_depth_map": True})
    assert camera_roles({"observation.images.top": depth}) == {}


@pytest.mark.parametrize("template", ["../{video_key}", "/etc/{file_index}", "{0.__class__}", "{nothing}", "", "a\0"])
def test_odd_templates_are_refused(template):
    with pytest.raises(UserError, match=r"info\.json"):
        fill(template + ("{other}" if "0." in template else ""), {"video_key": "x", "file_index": 1})


def edit_info(root, **changes):
    path = root / INFO
    info = json.loads(path.read_text())
    for name, value in changes.items():
        if callable(value):
            value(info)
        else:
            info[name] = value
    path.write_text(json.dumps(info))


def copy_golden(root):
    shutil.copytree(GOLDEN, root)
    return root


def generic_set(root, state, axes, robot="panda", **info):
    """The golden set with another ``observation.state``, in one row group."""
    copy_golden(root)
    table = pq.read_table(root / DATA)
    column = pa.array(np.asarray(state, np.float32).tolist())
    place = table.column_names.index("observation.state")
    pq.write_table(table.set_column(place, "observation.state", column), root / DATA)

    def change(content):
        content["features"]["observation.state"].update(shape=[np.shape(state)[1]], names=axes)

    edit_info(root, change=change, robot_type=robot, **info)
    return root


def test_states_by_their_names(tmp_path):
    rng = np.random.default_rng(0)
    state = rng.uniform(size=(39, 8)).astype(np.float32)
    axes = ["gripper.pos", "ee_x", "ee_y", "ee_z", "ee_roll", "ee_pitch", "ee_yaw", "joint_0"]
    root = generic_set(tmp_path / "pose", state, axes, robot="any")
    back = open_reader(root).read(1)
    assert np.array_equal(back.states, state[12:25][:, [1, 2, 3, 4, 5, 6, 0]])
    assert back.joints is None
    axes = {"motors": [*(f"panda_joint{number}" for number in (7, 6, 5, 4, 3, 2, 1)), "gripper"]}
    back = open_reader(generic_set(tmp_path / "joints", state, axes)).read(2)
    assert np.array_equal(back.joints, state[25:, 6::-1])


def test_a_port_of_droid(tmp_path):
    """What is left of our own set without our own columns."""
    root = write(tmp_path / "set", rich_episode(0), rich_episode(1))
    for name in OWN_COLUMNS:
        drop_column(root, EPISODES, name)

    def change(info):
        info["features"] = {name: each for name, each in info["features"].items() if not name.startswith("vjepa_sim")}

    edit_info(root, change=change, fps=10)
    with pytest.raises(UserError, match=r"episode 1: .*fps"):  # instead of frames of another episode
        open_reader(root).read(1)
    for name in ("from_timestamp", "to_timestamp"):  # a wrong rate throughout, as in some sets on the web
        for camera in ("exterior_1_left", "exterior_2_left", "wrist_left"):
            name_of_column = f"videos/observation.images.{camera}/{name}"
            change_column(root, EPISODES, name_of_column, lambda old: [value * 4 / 10 for value in old])
    for number, episode in enumerate((rich_episode(0), rich_episode(1))):
        entry, back = open_reader(root).entries[number], open_reader(root).read(number, ("left", "wrist"), extras=True)
        assert np.array_equal(back.states, episode.states) and np.array_equal(back.commands, episode.commands)
        assert np.array_equal(back.joints, episode.joints) and np.allclose(back.stamps, np.arange(6) / 10)
        assert (back.success, entry.success, entry.seed, back.behavior) == (bool(number), bool(number), None, "unknown")
        assert [camera.serial for camera in back.cameras] == ["exterior_1_left", "wrist_left"]
        assert np.array_equal(back.view("wrist").extrinsics, episode.view("wrist").extrinsics)
        assert np.abs(back.view("ext1").frames[:].astype(int) - episode.view("ext1").frames).max() <= 4
        assert set(back.extras) == {"observation.state", "action", "next.done"}


@pytest.mark.parametrize(
    ("axes", "robot", "message"),
    [
        (None, "panda", r"Wanted.*observation.state \[8\]"),
        (["a", "b", "c", "d", "e", "f", "g", "h"], "panda", "Wanted"),
        ([*(f"joint_{number}" for number in range(7)), "gripper"], "xarm7", "xarm7.*Franka"),
        ([*(f"joint_{number}" for number in range(8))], "panda", "Wanted"),
    ],
)
def test_states_that_nobody_can_tell(tmp_path, axes, robot, message):
    with pytest.raises(UserError, match=message):
        open_reader(generic_set(tmp_path / "set", np.zeros((39, 8)), axes, robot))


def test_templates_of_version_2(tmp_path):
    """One file per episode, though the set says v3.0."""
    root = write(tmp_path / "set", *(rich_episode(seed) for seed in range(2)))
    table = pq.read_table(root / DATA)
    table_of_episodes = pq.read_table(root / EPISODES)
    names = [name for name in table_of_episodes.column_names if not name.startswith(("data/", "videos/"))]
    pq.write_table(table_of_episodes.select(names), root / EPISODES)
    episodes = all_of(write(tmp_path / "same", *(rich_episode(seed) for seed in range(2))))
    for number in range(2):
        path = root / f"data/chunk-000/episode_{number:06d}.parquet"
        pq.write_table(table.slice(6 * number, 6), path)
        for camera in ("exterior_1_left", "exterior_2_left", "wrist_left"):
            single = write(tmp_path / f"{number}{camera}", rich_episode(number))
            folder = root / f"videos/chunk-000/observation.images.{camera}"
            folder.mkdir(parents=True, exist_ok=True)
            video = single / f"videos/observation.images.{camera}/chunk-000/file-000.mp4"
            shutil.copy(video, folder / f"episode_{number:06d}.mp4")
    (root / DATA).unlink()
    edit_info(
        root,
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )
    for back, episode in zip(all_of(root), episodes, strict=True):
        assert_same(back, episode)


def test_pictures_in_the_table(tmp_path):
    from PIL import Image

    root = copy_golden(tmp_path / "set")
    frames = np.random.default_rng(0).integers(0, 255, (39, 8, 10, 3)).astype(np.uint8)
    cells = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    table = pq.read_table(root / DATA)
    pq.write_table(table.append_column("observation.images.exterior_1_left", pa.array(cells)), root / DATA)
    edit_info(root, change=lambda info: info["features"]["observation.images.exterior_1_left"].update(dtype="image"))
    assert np.array_equal(open_reader(root).read(1).cameras[0].frames[:], frames[12:25])


def test_statistics_and_tasks_may_be_absent(tmp_path):
    root = copy_golden(tmp_path / "set")
    (root / "meta/stats.json").unlink()
    (root / "meta/tasks.parquet").unlink()
    assert open_reader(root).read(2).task == "pick up the cube"


def test_an_old_version_is_told_how_to_convert(tmp_path):
    root = copy_golden(tmp_path / "set")
    edit_info(root, codebase_version="v2.1")
    with pytest.raises(UserError, match="convert_dataset_v21_to_v30"):
        open_reader(root)


def change_column(root, file, name, change):
    table = pq.read_table(root / file)
    column = pa.array(change(table.column(name).to_pylist()))
    pq.write_table(table.set_column(table.column_names.index(name), name, column), root / file)


def drop_column(root, file, name):
    pq.write_table(pq.read_table(root / file).drop_columns([name]), root / file)


def truncate(root, file):
    path = root / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: truncate(root, INFO), "info.json"),
        (lambda root: truncate(root, EPISODES), "file-000.parquet"),
        (lambda root: truncate(root, DATA), "episode 1: .*data/chunk-000/file-000.parquet"),
        (lambda root: truncate(root, VIDEO), "episode 1: .*file-000.mp4"),
        (lambda root: (root / VIDEO).unlink(), "episode 1: .*file-000.mp4"),
        (lambda root: (root / DATA).unlink(), "episode 1: .*data/chunk-000/file-000.parquet"),
        (lambda root: (root / EPISODES).unlink(), "meta/episodes"),
        (lambda root: drop_column(root, EPISODES, "length"), "columns are missing: length"),
        (lambda root: drop_column(root, DATA, "observation.state"), "missing: observation.state"),
        (lambda root: change_column(root, EPISODES, "length", lambda _: [12, 13.5, 14]), "whole numbers"),
        (lambda root: change_column(root, EPISODES, "length", lambda _: [12, 12, 14]), "episode 1: .*length"),
        (lambda root: change_column(root, EPISODES, "length", lambda _: [12, None, 14]), "missing"),
        (lambda root: change_column(root, EPISODES, "episode_index", lambda _: [0, 1, 1]), "more than once"),
        (lambda root: change_column(root, EPISODES, "tasks", lambda _: [1, 2, 3]), "file-000.parquet"),
        (lambda root: change_column(root, DATA, "episode_index", lambda old: old[::-1]), "episode 1: .*episode_index"),
        (lambda root: change_column(root, DATA, "frame_index", lambda old: [7] * len(old)), "frame_index"),
        (
            lambda root: change_column(root, DATA, "observation.state", lambda old: old[:-14] + [[1.0]] * 14),
            "episode 2",
        ),
        (lambda root: change_column(root, DATA, "observation.state", lambda old: ["x"] * len(old)), "episode 1"),
        (
            lambda root: change_column(root, DATA, "observation.state", lambda old: [[float("nan")] * 8] * len(old)),
            "episode 1: .*not finite",
        ),
        (lambda root: edit_info(root, fps=0), "fps is 0"),
        (lambda root: edit_info(root, features=[]), "features"),
        (lambda root: edit_info(root, video_path=None), "video_path"),
        (lambda root: edit_info(root, data_path="data/{nothing}.parquet"), "'nothing'"),
        (lambda root: edit_info(root, features={}), "no camera"),
    ],
)
def test_damage_names_the_file_and_the_episode(tmp_path, damage, message):
    root = copy_golden(tmp_path / "set")
    damage(root)
    with pytest.raises(UserError, match=f"(?s){message}") as error:
        reader = open_reader(root)
        for number in (1, 2, 0):
            reader.read(number)
    assert str(root) in str(error.value)


def words(old):
    return ["no"] * len(old)


@pytest.mark.parametrize(
    ("name", "shape", "change"),
    [
        ("action.gripper_position", [2, 3], lambda old: [[[0.0] * 3] * 2] * len(old)),
        ("action.cartesian_position", [7], lambda old: [[0.0] * 7] * len(old)),
        ("next.success", [1], words),
        ("next.success", [2], lambda old: [[True, False]] * len(old)),
        ("is_episode_successful", [1], words),
        ("action.gripper_position", [1], words),
        ("observation.state.gripper_position", [1], lambda old: ["0.5"] * len(old)),
        ("camera_extrinsics.wrist_left", [1], words),
        ("camera_extrinsics.wrist_left", [3], lambda old: [[0.0] * 3] * len(old)),
        ("vjepa_sim.stamp", [1], words),
        ("vjepa_sim.stamp", [2], lambda old: [[1.0, 2.0]] * len(old)),
        ("vjepa_sim.privileged.distance", [1], words),
        ("vjepa_sim.extras.flags", [1], words),
        ("vjepa_sim.extras.words", [1], lambda old: list(range(len(old)))),
    ],
)
def test_columns_that_hold_something_else_are_named(tmp_path, own_set, name, shape, change):
    """Even if their features say so."""
    root = shutil.copytree(own_set, tmp_path / "set")
    change_column(root, DATA, name, change)
    edit_info(root, change=lambda info: info["features"][name].update(shape=shape))
    message = f"episode 1: .*{DATA}: column {name.replace('.', '[.]')} "
    with pytest.raises(UserError, match=message):
        open_reader(root).read(1, extras=True)


@pytest.fixture(scope="module")
def own_set(tmp_path_factory):
    return write(tmp_path_factory.mktemp("own") / "set", *(rich_episode(seed, rows=8) for seed in range(2)))


def test_a_damaged_note_is_one_episodes(tmp_path, own_set):
    good = json.loads(pq.read_table(own_set / EPISODES).column("vjepa_sim/note").to_pylist()[0])
    odd = [{**good, **changes} for changes in ({"details": 1}, {"cameras": {"top": {}}}, {"behavior": None})]
    for number, text in enumerate(["{", "[]", "{}", "nan", *map(json.dumps, odd)]):
        root = shutil.copytree(own_set, tmp_path / f"{number}")
        change_column(root, EPISODES, "vjepa_sim/note", lambda old, text=text: [old[0], text])
        reader = open_reader(root)
        assert len(reader.read(0)) == 8
        with pytest.raises(UserError, match=r"episode 1: .*note"):
            reader.read(1)


@given(
    source=st.sampled_from(["own", "golden"]),
    file=st.sampled_from([INFO, EPISODES, DATA, VIDEO]),
    kind=st.sampled_from(["truncate", "flip", "shuffle"]),
    place=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_any_damage_is_a_user_error(tmp_path_factory, own_set, source, file, kind, place, seed):
    root = shutil.copytree(own_set if source == "own" else GOLDEN, tmp_path_factory.mktemp("damaged") / "set")
    content = np.frombuffer((root / file).read_bytes(), np.uint8).copy()
    rng, at = np.random.default_rng(seed), int(place * (len(content) - 1))
    if kind == "truncate":
        content = content[:at]
    elif kind == "flip":
        content[at : at + 3] ^= rng.integers(1, 255, len(content[at : at + 3])).astype(np.uint8)
    else:
        rng.shuffle(content[at : at + 64])
    (root / file).write_bytes(content.tobytes())
    try:
        for episode in all_of(root):
            for camera in episode.cameras:
                camera.frames[:]
    except UserError:
        pass
    finally:
        shutil.rmtree(root)
