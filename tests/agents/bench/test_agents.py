"""Agents that were scored, timed beside each other: which model, in which order, what can't be timed."""

from __future__ import annotations

import json
import shutil

import pytest

from vjepa_sim.agents.bench import bench_agents
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import evaluate
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow

AGENTS = {"still": "still", "clone": "bc", "ours": "mpc", "ceiling": "oracle", "scripted": "expert"}


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """Of one agent of each kind: without a model, cloned, planning, and planning with the truth."""
    folder = tmp_path_factory.mktemp("evaluations")
    config = EvaluationConfig(agent="still", baselines=(), tasks=("reach",), objects=("box",), episodes=1, videos=0)
    evaluate(folder / "any", config, lambda agent, task, name: None)
    folders = []
    for name, agent in AGENTS.items():
        # What was scored doesn't matter here, and an oracle thinks for long.
        folders.append(shutil.copytree(folder / "any", folder / name))
        told = json.loads((folders[-1] / "eval_info.json").read_text())
        told["config"] |= {"agent": agent, "checkpoint": EvaluationConfig(agent=agent).checkpoint, "planner": "default"}
        told["cells"] = [{**cell, "agent": agent} for cell in told["cells"]]
        (folders[-1] / "eval_info.json").write_text(json.dumps(told))
    return folders


def test_agents_of_evaluations_decide_in_turn(evaluations, monkeypatch):
    monkeypatch.setattr("vjepa_sim.agents.bench.agents.STARTS", 1)
    monkeypatch.setattr("vjepa_sim.agents.bench.agents.TASKS", ["reach"])
    shown = []
    result = bench_agents(evaluations, lambda done, total: shown.append((done, total)))
    result = result["runs"]
    assert list(result) == list(AGENTS)
    assert result["still"]["times_the_first"] == 1
    assert result["clone"]["model_evaluations_per_action"] == result["still"]["model_evaluations_per_action"] == 0
    assert result["ours"]["model_evaluations_per_action"] == result["ceiling"]["model_evaluations_per_action"] == 64
    ratio = result["ours"]["seconds_per_action_median"] / result["still"]["seconds_per_action_median"]
    assert result["ours"]["times_the_first"] == pytest.approx(ratio)
    assert shown == [(done, 5) for done in range(6)]


def test_one_evaluation_is_too_few(evaluations):
    with pytest.raises(UserError, match="--evaluations and two or more"):
        bench_agents(evaluations[:1], lambda done, total: None)


def test_damaged_settings_are_named(evaluations, tmp_path):
    for folder in evaluations[:2]:
        shutil.copytree(folder, tmp_path / folder.name)
        told = json.loads((folder / "eval_info.json").read_text())
        del told["config"]["size"], told["config"]["planner"]
        (tmp_path / folder.name / "eval_info.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match="lacks size, planner"):
        bench_agents([tmp_path / folder.name for folder in evaluations[:2]], lambda done, total: None)


def test_what_was_scored_with_other_pictures_has_other_starts(evaluations, tmp_path):
    shutil.copytree(evaluations[0], tmp_path / "small")
    told = json.loads((tmp_path / "small" / "eval_info.json").read_text())
    told["config"]["size"] = 128
    (tmp_path / "small" / "eval_info.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match="size: still 256, small 128"):
        bench_agents([evaluations[0], tmp_path / "small"], lambda done, total: None)


def test_a_path_that_holds_another_model_now_is_refused(evaluations, tmp_path):
    shutil.copytree(evaluations[2], tmp_path / "other")
    told = json.loads((tmp_path / "other" / "eval_info.json").read_text())
    told["config"]["checkpoint_crc32"] = 1
    (tmp_path / "other" / "eval_info.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match="another model than the present one in tiny"):
        bench_agents([evaluations[0], tmp_path / "other"], lambda done, total: None)
