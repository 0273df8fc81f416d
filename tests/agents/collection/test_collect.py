import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_sim.agents.collection.collect import collect
from vjepa_sim.agents.collection.config import CollectConfig
from vjepa_sim.baselines.cloned_policy import Policy, PolicyCard, PolicyConfig
from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.droid import find_episodes, read_episode
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import difference
from vjepa_sim.envs.scene.cameras import CAMERAS
from vjepa_sim.envs.seeds import training_seed
from vjepa_sim.transform import ImageTransform

pytestmark = pytest.mark.slow

SMALL = CollectConfig(episodes=3, seed=1, tasks=("reach",), objects=("box",), steps=4, size=64)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small collection; tests that continue it take a copy."""
    out = tmp_path_factory.mktemp("made") / "episodes"
    assert collect(out, SMALL, workers=1).written == 3
    return out


def read_all(out: Path) -> list[Episode]:
    return [read_episode(out / name) for name in find_episodes(out)]


def test_the_arm_is_recorded(made):
    for episode in read_all(made):
        assert (episode.details["arm"], episode.details["gripper"]) == ("panda", "robotiq")


def test_the_number_of_processes_makes_no_difference(made, tmp_path):
    collect(tmp_path / "two", SMALL, workers=2)
    for first, second in zip(read_all(made), read_all(tmp_path / "two"), strict=True):
        assert np.array_equal(first.states, second.states)
        assert np.array_equal(first.view().frames[:], second.view().frames[:])
        assert first.behavior == second.behavior


def test_a_longer_collection_continues_a_shorter_one(made, tmp_path):
    out = shutil.copytree(made, tmp_path / "episodes")
    seen = []
    result = collect(out, replace(SMALL, episodes=4), workers=1, on_progress=lambda *counts: seen.append(counts))
    assert (result.written, result.present, result.frames) == (1, 4, 5)
    assert seen == [(0, 1), (1, 1)]
    assert {episode.seed for episode in read_all(out)} == {training_seed(1, i) for i in range(4)}
    noted = json.loads((out / "collection.json").read_text())
    assert noted["config"]["episodes"] == 4
    assert noted["provenance"]["versions"]["mujoco"]


def test_other_settings_are_refused(made, tmp_path):
    with pytest.raises(UserError, match="seed was 1, now 2"):
        collect(made, replace(SMALL, seed=2), workers=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        collect(tmp_path / "other", SMALL, workers=1)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "precious"


def test_three_cameras_are_kept_with_their_roles(tmp_path):
    """And the left one's pictures, and the course of the episode, are those of a collection without the others."""
    collect(tmp_path / "one", replace(SMALL, episodes=1, randomize=1.0), workers=1)
    collect(tmp_path / "three", replace(SMALL, episodes=1, randomize=1.0, cameras=tuple(CAMERAS)), workers=1)
    (one,), (three,) = read_all(tmp_path / "one"), read_all(tmp_path / "three")
    assert {camera.role: camera.serial for camera in three.cameras} == {
        "ext1": "left",
        "ext2": "right",
        "wrist": "wrist",
    }
    assert np.array_equal(one.view("ext1").frames[:], three.view("ext1").frames[:])
    assert np.array_equal(one.states, three.states)
    assert np.ptp(three.view("wrist").extrinsics, axis=0).max() > 1e-3
    for camera in three.cameras:
        assert camera.frames.shape == (5, 64, 64, 3)
        assert camera.intrinsics.shape == (3, 3)


def test_a_collection_from_before_there_were_cameras_to_choose_is_continued(made, tmp_path):
    out = shutil.copytree(made, tmp_path / "episodes")
    noted = json.loads((out / "collection.json").read_text())
    del noted["config"]["cameras"]
    (out / "collection.json").write_text(json.dumps(noted))
    with pytest.raises(UserError, match=r"cameras was \['left'\], now \['left', 'right', 'wrist'\]"):
        collect(out, replace(SMALL, episodes=4, cameras=tuple(CAMERAS)), workers=1)
    assert collect(out, replace(SMALL, episodes=4), workers=1).written == 1
    assert json.loads((out / "collection.json").read_text())["config"]["cameras"] == ["left"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("grip",)}, "Did you mean 'grasp'"),
        ({"objects": ("bx",)}, "Did you mean 'box'"),
        ({"mix": {"expret": 1.0}}, "Did you mean 'expert'"),
        ({"mix": {"expert": 0.0}}, "add up to 0"),
        ({"mix": {"expert": -1.0}}, "negative"),
        ({"mix": {"expert": float("inf")}}, "a number"),
        ({"size": 65}, "even image size"),
        ({"cameras": ("lef",)}, "Did you mean 'left'"),
        ({"cameras": ()}, "at least one"),
        ({"cameras": ("left", "left")}, "each once"),
        ({"gripper": "panda"}, "Did you mean 'panda_hand'"),
        ({"mix": {"planner": 1.0}}, "needs a checkpoint"),
        ({"checkpoint": "tiny"}, "and no other, needs"),
        ({"mix": {"planner": 1.0}, "checkpoint": "tiny", "planner": "defalt"}, "Did you mean 'default'"),
        ({"mix": {"planner": 1.0}, "checkpoint": "tiny", "agent": "oracle"}, "Agent 'oracle' can't act"),
        ({"episodes": 0}, "at least 1"),
        ({"seed": -1}, "0..2146"),
        ({"randomize": 1.1}, "outside 0..1"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        replace(SMALL, **changes)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ending_keeps_whole_episodes_only(tmp_path, ending):
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
    ours = signal.signal(ending, signal.SIG_DFL)  # under nohup SIGHUP is ignored, and a child inherits that
    process = subprocess.Popen(
        [*command, "--steps", "4", "--size", "64", "--workers", "1"], stderr=subprocess.PIPE, text=True
    )
    signal.signal(ending, ours)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(out.glob("1.0.1/SIM/*/*/*/trajectory.h5")):
        time.sleep(0.2)
    os.kill(process.pid, ending)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in text
    episodes = read_all(out)
    assert 0 < len(episodes) < 500
    assert all(len(episode) == 5 for episode in episodes)
    assert list(out.glob(".partial-*")) == []


def test_what_a_noisy_expert_meant_is_kept_beside_what_it_did(tmp_path):
    def collected(behavior):
        out = tmp_path / behavior
        collect(out, replace(SMALL, tasks=("grasp",), episodes=4, steps=8, mix={behavior: 1.0}), workers=1)
        return read_all(out)

    for episode in collected("expert"):
        assert np.allclose(difference(episode.privileged["meant_command"], episode.commands), 0.0, atol=0.01)
    off = [
        np.linalg.norm((episode.privileged["meant_command"] - episode.commands)[:-1, :3], axis=1)
        for episode in collected("noisy-expert")
    ]
    assert max(map(np.max, off)) > 0.02  # noise
    assert max(map(np.max, off)) > 2 * min(map(np.max, off))  # in some episodes more than in others
    assert max(map(np.min, off)) < 0.01  # and on some steps only


def test_an_experts_episode_ends_when_it_has_succeeded(tmp_path):
    collect(tmp_path, replace(SMALL, episodes=2, steps=20, mix={"expert": 1.0}), workers=1)
    for episode in read_all(tmp_path):
        assert episode.success
        assert len(episode) < 12


PLANNED = replace(SMALL, tasks=("grasp",), episodes=2, steps=24, mix={"planner": 1.0}, checkpoint="replaced")


@pytest.fixture
def planned(untrained, tmp_path):
    untrained.save_pretrained(tmp_path / "model")
    return replace(PLANNED, checkpoint=str(tmp_path / "model"))


def test_what_a_planner_leaves_the_expert_mends_and_says_all_along_what_it_would_have_done(planned, tmp_path):
    collect(tmp_path / "one", planned, workers=1)
    collect(tmp_path / "two", planned, workers=2)
    for first, second in zip(read_all(tmp_path / "one"), read_all(tmp_path / "two"), strict=True):
        assert np.array_equal(first.states, second.states)
        off = difference(first.privileged["meant_command"], first.commands)[:-1]
        assert np.abs(off[0, :3]).max() > 0.01  # the planner has its own opinion
        if len(first) < 25:  # it left enough steps to the expert, who had the last word
            assert first.success
            assert np.abs(off[-2:, :3]).max() < 1e-4


def test_a_cloned_policys_mistakes_are_mended_too(tmp_path):
    sizes = PolicyConfig(image_size=64, stem=(8, 16), dim=24, depth=1, heads=2, mlp_hidden=32, head_hidden=32)
    torch.manual_seed(0)
    policy = Policy(PolicyCard(name="test", transform=ImageTransform(64), policy=sizes, period=0.25))
    policy.save_pretrained(tmp_path / "policy")
    config = replace(PLANNED, checkpoint=str(tmp_path / "policy"), agent="bc")
    collect(tmp_path / "episodes", config, workers=1)
    for episode in read_all(tmp_path / "episodes"):
        off = difference(episode.privileged["meant_command"], episode.commands)[:-1]
        assert np.abs(off[0, :3]).max() > 0.01


def test_a_collection_is_not_continued_with_another_model(planned, untrained, tmp_path):
    config = replace(planned, episodes=1, steps=2)
    collect(tmp_path / "episodes", config, workers=1)
    assert "checkpoint_crc32" in json.loads((tmp_path / "episodes" / "collection.json").read_text())["config"]
    other = copy.deepcopy(untrained)
    with torch.no_grad():
        other.goal_policy.layers[-1].bias.add_(0.1)
    other.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="checkpoint_crc32 was"):
        collect(tmp_path / "episodes", replace(config, episodes=2), workers=1)


def test_a_planner_that_does_not_fit_is_refused_before_anything_is_written(planned, tmp_path):
    with pytest.raises(UserError, match="images of 64 pixels"):
        collect(tmp_path / "episodes", replace(planned, size=32), workers=1)
    assert not (tmp_path / "episodes").exists()
