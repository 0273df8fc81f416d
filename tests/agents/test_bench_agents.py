from __future__ import annotations

import pytest

from agents.bench import bench_agents
from agents.evaluate import EvaluationConfig, evaluate
from envs.errors import UserError


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """Of an agent that stands still, and of one that looks where things are."""
    folders = []
    for agent in ("still", "expert"):
        folders.append(tmp_path_factory.mktemp("evaluations") / agent)
        config = EvaluationConfig(
            agent, baselines=(), tasks=("reach",), objects=("box",), episodes=1, size=64, videos=0
        )
        evaluate(folders[-1], config, lambda agent, task, name: None)
    return folders


def test_agents_of_evaluations_decide_in_turn(evaluations, monkeypatch):
    monkeypatch.setattr("agents.bench.agents.STARTS", 1)
    shown = []
    result = bench_agents(evaluations, lambda done, total: shown.append((done, total)))
    assert list(result)[2:] == ["still", "expert"]
    assert (result["still"]["agent"], result["still"]["times_the_first"]) == ("still", 1)
    ratio = result["expert"]["seconds_per_action_median"] / result["still"]["seconds_per_action_median"]
    assert result["expert"]["times_the_first"] == pytest.approx(ratio)
    assert shown == [(done, 8) for done in range(9)]  # four tasks, two agents


def test_one_evaluation_is_too_few(evaluations):
    with pytest.raises(UserError, match="two or more"):
        bench_agents(evaluations[:1], lambda done, total: None)
