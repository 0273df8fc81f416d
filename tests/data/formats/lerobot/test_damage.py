"""No damage raises anything but UserError."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.formats.lerobot.sets import (
    DATA,
    EPISODES,
    GOLDEN,
    VIDEO,
    all_of,
    change_column,
    copy_golden,
    drop_column,
    edit_info,
)
from vjepa_sim.data.formats.lerobot import open_reader
from vjepa_sim.data.formats.lerobot.layout import INFO
from vjepa_sim.envs.errors import UserError


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


@pytest.mark.slow
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
