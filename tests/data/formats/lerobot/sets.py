"""Data sets to read and to change."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.samples import make_episode
from vjepa_sim.data.formats.lerobot import LeRobotWriter, open_reader
from vjepa_sim.data.formats.lerobot.layout import INFO
from vjepa_sim.data.formats.lerobot.rolling import Limits

GOLDEN = Path(__file__).parents[2] / "fixtures" / "lerobot_v3_golden"
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


def change_column(root, file, name, change):
    table = pq.read_table(root / file)
    column = pa.array(change(table.column(name).to_pylist()))
    pq.write_table(table.set_column(table.column_names.index(name), name, column), root / file)


def drop_column(root, file, name):
    pq.write_table(pq.read_table(root / file).drop_columns([name]), root / file)
