import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from agents.collect import CollectConfig, collect
from data.droid import find_episodes, read_episode
from envs.errors import UserError
from envs.seeds import training_seed

SMALL = CollectConfig(episodes=3, seed=1, tasks=("reach",), objects=("box",), steps=4, size=64)


def test_the_number_of_processes_makes_no_difference(tmp_path):
    collect(tmp_path / "one", SMALL, workers=1)
    collect(tmp_path / "two", SMALL, workers=2)
    for a, b in zip(find_episodes(tmp_path / "one"), find_episodes(tmp_path / "two"), strict=True):
        first, second = read_episode(a), read_episode(b)
        assert np.array_equal(first.states, second.states)
        assert np.array_equal(first.camera.frames, second.camera.frames)
        assert first.behavior == second.behavior


def test_a_longer_collection_continues_a_shorter_one(tmp_path):
    out = tmp_path / "episodes"
    assert collect(out, SMALL, workers=1).written == 3
    seen = []
    result = collect(out, replace(SMALL, episodes=4), workers=1, on_progress=lambda *counts: seen.append(counts))
    assert (result.written, result.present, result.frames) == (1, 4, 5)
    assert seen == [(0, 1), (1, 1)]
    assert {read_episode(folder).seed for folder in find_episodes(out)} == {training_seed(1, i) for i in range(4)}
    noted = json.loads((out / "collection.json").read_text())
    assert noted["config"]["episodes"] == 4
    assert noted["provenance"]["versions"]["mujoco"]


def test_other_settings_are_refused(tmp_path):
    out = tmp_path / "episodes"
    collect(out, SMALL, workers=1)
    with pytest.raises(UserError, match="seed was 1, now 2"):
        collect(out, replace(SMALL, seed=2), workers=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        collect(tmp_path / "other", SMALL, workers=1)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("grip",)}, "Did you mean 'grasp'"),
        ({"objects": ("bx",)}, "Did you mean 'box'"),
        ({"mix": {"expret": 1.0}}, "Did you mean 'expert'"),
        ({"mix": {"expert": 0.0}}, "adds up to nothing"),
        ({"mix": {"expert": -1.0}}, "negative"),
        ({"mix": {"expert": float("inf")}}, "a number"),
        ({"size": 65}, "even image size"),
        ({"gripper": "panda"}, "Did you mean 'panda_hand'"),
        ({"episodes": 0}, "at least 1"),
        ({"seed": -1}, "0..2146"),
        ({"randomize": 1.1}, "outside 0..1"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        replace(SMALL, **changes)


def test_ctrl_c_keeps_whole_episodes_only(tmp_path):
    out = tmp_path / "episodes"
    command = [
        sys.executable,
        "-m",
        "vjepa_sim.cli",
        "collect",
        "--out",
        str(out),
        "--episodes",
        "500",
        "--task",
        "reach",
    ]
    process = subprocess.Popen(
        [*command, "--steps", "4", "--size", "64", "--workers", "1"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(out.glob("1.0.1/SIM/*/*/*/trajectory.h5")):
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in text
    folders = find_episodes(out)
    assert 0 < len(folders) < 500
    assert all(len(read_episode(folder)) == 5 for folder in folders)
    assert list(out.glob(".partial-*")) == []
