"""Success and action scores, ranked: the correlation's laws, which score belongs to which run, what can't be ranked."""

import json
from dataclasses import replace

import pytest

from vjepa_sim.agents.comparison import compare
from vjepa_sim.agents.comparison.ranking import rank
from vjepa_sim.agents.comparison.run_folder import RunFolder
from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.envs.errors import UserError


def run_of(name, rates, crc=None, planner="latent", agent="mpc"):
    """An evaluation with these successes of a hundred, by task."""
    cells = [
        {"agent": agent, "task": task, "object": "cup", "n_success": rate, "n_episodes": 100}
        for task, rate in rates.items()
    ]
    config = {"agent": agent, "checkpoint": "x", "checkpoint_crc32": crc or name, "planner": planner}
    return RunFolder(
        name=name, folder=None, kind="eval", config=config, cells=cells, method={}, complete=True, provenance={}
    )


def score_of(folder, crc, action_score, planner="latent", clips=100):
    folder.mkdir(exist_ok=True)
    report = {"action_score": action_score, "direction": action_score / 100, "magnitude": 0.5}
    config = {"checkpoint_crc32": crc, "planner": planner, "clips": clips}
    (folder / "score.json").write_text(json.dumps({**report, "config": config}))
    return folder


@pytest.fixture
def scores(tmp_path):
    return [score_of(tmp_path / name, name, score) for name, score in zip("abcd", (10, 30, 50, 70), strict=True)]


def runs(*rates):
    return [run_of(name, {"reach": rate, "grasp": 100 - rate}) for name, rate in zip("abcd", rates, strict=True)]


def test_the_same_order_is_one_the_opposite_minus_one_and_chance_is_told(scores, tmp_path):
    ranked = rank(runs(1, 5, 20, 90), scores)
    found = ranked.numbers["ranking"]["spearman"]["action_score"]
    assert found["reach cup"]["rho"] == pytest.approx(1)
    assert found["grasp cup"]["rho"] == pytest.approx(-1)
    assert found["reach cup"]["p_value"] == pytest.approx(2 / 24)  # one order of 24, and its opposite
    assert "+1.00 (0.083)" in ranked.text
    assert ranked.images["ranking.png"].min() < 200 < ranked.images["ranking.png"].max()


def test_what_is_all_alike_has_no_ranks(scores, tmp_path):
    ranked = rank(runs(1, 5, 20, 90), scores)
    assert ranked.numbers["ranking"]["spearman"]["magnitude"]["all"] is None
    assert "all equal" in ranked.text


def test_a_run_has_the_score_of_its_own_planner(scores, tmp_path):
    other = score_of(tmp_path / "other", "a", 80, planner="lookahead")
    ranked = rank(runs(1, 5, 20, 90), [*scores, other])
    assert ranked.numbers["ranking"]["measured"]["action_score"] == [10, 30, 50, 70]


def test_runs_without_a_score_are_left_out_until_too_few_are_left(scores, tmp_path):
    assert rank(runs(1, 5, 20, 90), scores[1:]).numbers["ranking"]["runs"] == ["b", "c", "d"]
    with pytest.raises(
        UserError, match=r"2 of 4 evaluations have a score .* Missing: a, b.*--checkpoint \S+ --planner latent"
    ):
        rank(runs(1, 5, 20, 90), scores[2:])


def test_two_scores_of_one_run_are_refused(scores, tmp_path):
    again = score_of(tmp_path / "again", "a", 11)
    with pytest.raises(UserError, match="a has several scores"):
        rank(runs(1, 5, 20, 90), [*scores, again])


def test_a_checkpoint_counts_once_and_all_are_measured_alike(scores, tmp_path):
    four = runs(1, 5, 20, 90)
    unlike = score_of(tmp_path / "unlike", "c", 50, clips=5)
    with pytest.raises(UserError, match=r"clips differs between .*a and .*unlike"):
        rank(four, [scores[0], scores[1], unlike, scores[3]])
    with pytest.raises(UserError, match="a and twice evaluate the same checkpoint"):
        rank([*four, run_of("twice", {"reach": 3}, crc="a")], scores)
    four[2].config.update(randomize=1.0, vary=["light"])
    with pytest.raises(UserError, match="condition differs"):
        rank(four, scores)


def test_another_planners_score_says_nothing(scores, tmp_path):
    other = run_of("a", {"reach": 1, "grasp": 1}, planner="lookahead")
    assert rank([other, *runs(1, 5, 20, 90)[1:]], scores).numbers["ranking"]["runs"] == ["b", "c", "d"]


def test_an_oracle_has_no_score_of_the_checkpoint_that_it_sees_with(scores):
    four = runs(1, 5, 20, 90)
    oracle = replace(four[0], name="oracle", config={**four[0].config, "agent": "oracle"})
    assert rank([oracle, *four], scores).numbers["ranking"]["runs"] == ["a", "b", "c", "d"]


def test_a_folder_without_a_score_and_a_score_that_tells_too_little_are_named(scores, tmp_path):
    with pytest.raises(UserError, match="holds no score"):
        rank(runs(1, 5, 20, 90), [*scores, tmp_path])
    for damaged in ('{"action_score": 3}', '{"action_score": 3, "direction": "0.9", "magnitude": 1, "config": {}}'):
        (tmp_path / "a" / "score.json").write_text(damaged)
        with pytest.raises(UserError, match="lacks direction"):
            rank(runs(1, 5, 20, 90), scores)


def test_compare_puts_the_ranking_into_its_report(scores, tmp_path):
    folders = []
    for name, rate in zip("abcd", (1, 1, 0, 0), strict=True):
        folder = tmp_path / f"eval-{name}"
        folder.mkdir()
        episodes = [{"seed": 0, "success": bool(rate)}]
        cell = {"agent": "mpc", "task": "reach", "object": "cup", "n_success": rate, "n_episodes": 1}
        cell |= {"pc_success_ci95": [0, 100], "plan_seconds_median": 0.1, "model_evaluations_per_action": 1}
        config = {"agent": "mpc", "checkpoint": name, "checkpoint_crc32": name, "planner": "latent"}
        info = {"config": config, "cells": [{**cell, "episodes": episodes}], "complete": True}
        (folder / "eval_info.json").write_text(json.dumps(info))
        (folder / "eval_config.json").write_text("{}")
        folders.append(folder)
    with pytest.raises(UserError, match="holds no score"):
        compare(tmp_path / "out", folders, [*scores, tmp_path / "typo"])
    made = compare(tmp_path / "out", folders, scores)  # a mistake leaves nothing in the way
    assert (tmp_path / "out" / "ranking.png").stat().st_size > 1000
    assert "Action scores and success rates" in (tmp_path / "out" / "compare.md").read_text()
    numbers = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert numbers["ranking"]["success"]["all"] == [100, 100, 0, 0]
    assert [run["n_success"] for run in numbers["runs"]] == [1, 1, 0, 0]
    assert made.numbers["cells"]


def test_agents_that_plan_with_their_predictor_are_ranked(scores, monkeypatch):
    def given(agent):
        return [run_of(name, {"reach": rate}, agent=agent) for name, rate in zip("abcd", (1, 5, 20, 90), strict=True)]

    for agent in ("oracle", "bc", "of-a-plugin-that-is-not-loaded"):
        with pytest.raises(UserError, match="Only evaluations of an agent that plans can have one: mpc"):
            rank(given(agent), scores)
    spec = replace(AGENTS["mpc"], name="mine")
    monkeypatch.setitem(AGENTS._parts, "mine", spec)
    assert rank(given("mine"), scores).numbers["ranking"]["runs"] == list("abcd")
