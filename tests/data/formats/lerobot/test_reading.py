"""The golden set of LeRobot itself reads, and so do sets of others."""

import io
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.formats.lerobot.sets import (
    DATA,
    EPISODES,
    GOLDEN,
    VIDEO,
    all_of,
    assert_same,
    change_column,
    copy_golden,
    drop_column,
    edit_info,
    rich_episode,
    write,
)
from vjepa_sim.data.formats.lerobot import detect, open_reader
from vjepa_sim.data.formats.lerobot.layout import OWN_COLUMNS, Feature, camera_roles, fill
from vjepa_sim.data.video import Video
from vjepa_sim.envs.arms.panda import flange_poses
from vjepa_sim.envs.errors import UserError


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
    assert np.allclose(open_reader(root).read(1).stamps, np.arange(6) / 4)  # by timestamp and the videos
    for name in ("from_timestamp", "to_timestamp"):  # a wrong rate throughout, as in some sets on the web
        for camera in ("exterior_1_left", "exterior_2_left", "wrist_left"):
            name_of_column = f"videos/observation.images.{camera}/{name}"
            change_column(root, EPISODES, name_of_column, lambda old: [value * 4 / 10 for value in old])
    change_column(root, DATA, "timestamp", lambda old: [value * 4 / 10 for value in old])
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


@pytest.mark.parametrize(
    ("version", "scripts"),
    [
        ("v2.1", "scripts, one after another: convert_dataset_v21_to_v30"),
        ("v2.0", "another: convert_dataset_v20_to_v21, convert_dataset_v21_to_v30"),
        ("v1.6", "another: convert_dataset_v1_to_v2, convert_dataset_v20_to_v21, convert_dataset_v21_to_v30"),
    ],
)
def test_an_old_version_is_told_how_to_convert(tmp_path, version, scripts):
    root = copy_golden(tmp_path / "set")
    edit_info(root, codebase_version=version)
    if version == "v1.6":
        (root / "meta").rename(root / "meta_data")
    assert detect(root)
    with pytest.raises(UserError, match=scripts):
        open_reader(root)
