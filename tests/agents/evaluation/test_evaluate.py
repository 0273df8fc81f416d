import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.agents.collection.behaviors import BEHAVIORS
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import check_seeds, evaluate, run_episode, usable_seeds
from vjepa_sim.agents.evaluation.report import read_begun
from vjepa_sim.agents.evaluation.statistics import format_rate, interval_over_starts, wilson_interval
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.registry import load_agent
from vjepa_sim.data.video import read_video
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

CONFIG = EvaluationConfig(agent="expert", tasks=("reach",), objects=("box",), episodes=2, size=64, seed=11)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("eval") / "run"
    return out, evaluate(out, CONFIG, lambda *_: None)


def test_the_report_has_what_scripts_rely_on(report):
    out, info = report
    assert json.loads((out / "eval_info.json").read_text()) == json.loads(json.dumps(info))
    assert [cell["agent"] for cell in info["cells"]] == ["expert", "random", "still"]
    cell = info["cells"][0]
    names = "agent task object n_episodes n_success pc_success pc_success_ci95 pc_success_ever "
    names += "plan_seconds_median model_evaluations_per_action steps_mean"
    assert set(names.split()) <= set(cell)
    assert (cell["task"], cell["object"], cell["n_episodes"], cell["n_success"], cell["pc_success"]) == (
        "reach",
        "box",
        2,
        2,
        100.0,
    )
    assert cell["pc_success_ci95"] == pytest.approx([34.24, 100.0], abs=0.01)
    assert [episode["seed"] for episode in cell["episodes"]] == [11, 12]
    assert {"seed", "success", "steps", "final_error_m"} <= set(cell["episodes"][0])
    assert info["complete"] is True
    assert info["provenance"]["versions"]["mujoco"]


def test_a_run_may_stand_without_baselines(tmp_path):
    info = evaluate(tmp_path / "run", replace(CONFIG, episodes=1, baselines=()), lambda *_: None)
    assert [cell["agent"] for cell in info["cells"]] == ["expert"]
    with pytest.raises(UserError, match="Did you mean 'still'"):
        replace(CONFIG, baselines=("stil",))


def test_who_stands_still_fails_and_who_knows_succeeds(report):
    rates = {cell["agent"]: cell["pc_success"] for cell in report[1]["cells"]}
    assert rates["expert"] == 100.0
    assert rates["still"] == 0.0


def test_table_rows_and_videos(report):
    out, _ = report
    assert "| reach | box | expert | state | 100.0 % (2/2) | task | 34.2–100.0 |" in (out / "table.md").read_text()
    assert len((out / "episodes.csv").read_text().splitlines()) == 1 + 3 * 2
    videos = sorted((out / "videos").iterdir())
    assert [video.name for video in videos] == [
        "1_success_reach_box_expert_seed11.mp4",
        "1_success_reach_box_expert_seed12.mp4",
    ]
    assert read_video(videos[0]).shape == (11, 64, 128, 3)


def test_results_are_never_mixed(report):
    with pytest.raises(UserError, match="finished evaluation"):
        evaluate(report[0], CONFIG, lambda *_: None)
    with pytest.raises(UserError, match="seed was 11, now 12"):
        evaluate(report[0], replace(CONFIG, seed=12), lambda *_: None)


def test_a_stopped_evaluation_goes_on(report, tmp_path):
    finished = 0

    def stop(agent, task, object_name):
        nonlocal finished
        finished += 1
        if finished == 3:  # within the second agent's episodes
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path / "run", CONFIG, stop)
    partly = json.loads((tmp_path / "run" / "eval_info.json").read_text())
    assert [cell["agent"] for cell in partly["cells"]] == ["expert"]
    assert partly["complete"] is False
    whole = evaluate(tmp_path / "run", CONFIG, lambda *_: None)
    for ours, theirs in zip(whole["cells"], report[1]["cells"], strict=True):
        assert ours["agent"] == theirs["agent"]
        for again, before in zip(ours["episodes"], theirs["episodes"], strict=True):
            assert {**again, "plan_seconds": 0} == {**before, "plan_seconds": 0}


def test_a_stopped_cell_goes_on_with_its_next_episode(tmp_path, monkeypatch):
    config = replace(CONFIG, agent="bc", checkpoint="bc", baselines=("random",), episodes=3, size=128, videos=0)
    whole = evaluate(tmp_path / "whole", config, lambda *_: None)
    run, seen = tmp_path / "run", []

    def stop(*which):
        seen.append(which)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(run, config, stop)
    run_seeds = []

    def counted(agent, env, seed):
        run_seeds.append(seed)
        return run_episode(agent, env, seed)

    monkeypatch.setattr("vjepa_sim.agents.evaluation.evaluate.run_episode", counted)
    again = evaluate(run, config, lambda *_: None)
    assert run_seeds == [13, 11, 12, 13]  # the policy's third, and all of random's
    for ours, theirs in zip(again["cells"], whole["cells"], strict=True):
        assert [{**each, "plan_seconds": 0} for each in ours["episodes"]] == [
            {**each, "plan_seconds": 0} for each in theirs["episodes"]
        ]
    assert not (run / "begun_cell.json").exists()


def test_a_damaged_begun_cell_is_named(tmp_path):
    (tmp_path / "begun_cell.json").write_text('{"cell": ["bc", "reach", "box"], "episodes": [{"sed": 1}]}')
    with pytest.raises(UserError, match=r"begun_cell\.json is damaged .* Delete it"):
        read_begun(tmp_path, "bc", "reach", "box")
    assert read_begun(tmp_path, "bc", "reach", "cup") == []


def test_starts_that_satisfy_the_goal_do_not_count(monkeypatch):
    env = SimEnv("reach", "box", size=64)
    distances = [env.reset(seed=seed)[1]["error"] for seed in range(6)]
    monkeypatch.setattr(env.task, "tolerance", float(np.median(distances)))
    seeds, excluded = usable_seeds(env, first=0, count=3)
    near = [seed for seed in range(6) if distances[seed] < env.task.tolerance]
    assert excluded == [seed for seed in near if seed < seeds[-1]]
    assert len(excluded) > 0
    assert not set(seeds) & set(near)
    env.close()


@pytest.mark.parametrize("name", ["mpc", "random", "still"])
def test_agents_are_not_told_the_goals_state(name):
    env = SimEnv("reach", "box", size=128)
    agent = load_agent(name)
    begun = []
    begin = agent.begin
    agent.begin = lambda goals: (begun.extend(goals), begin(goals))
    run_episode(agent, env, seed=0)
    assert [goal.state for goal in begun] == [None]
    env.close()


def check_fit(agent, env):
    agent.model.card.check_fit(env.arm.period, env.renderer.size, arm=env.arm_name, gripper=env.gripper)


def test_a_model_of_another_period_is_refused():
    model = WorldModel.from_pretrained("tiny")
    model.with_card(period=1.0)
    env = SimEnv("reach", "box", size=64)
    with pytest.raises(UserError, match=r"steps of 1.0 s; the environment's are 0.25 s"):
        check_fit(MPCAgent(model), env)
    env.close()


def test_a_model_that_saw_the_seeds_is_refused():
    model = WorldModel.from_pretrained("tiny")
    model.with_card(data=({"seeds": [12]},))
    with pytest.raises(UserError, match="was trained on evaluation seeds"):
        check_seeds(MPCAgent(model), [11, 12])


def test_a_model_that_does_not_fit_the_environment_is_refused():
    small = SimEnv("reach", "box", size=64)
    with pytest.raises(UserError, match="needs images of 128 pixels; the camera's have 64"):
        check_fit(load_agent("mpc"), small)
    small.close()
    other = SimEnv("reach", "box", gripper="panda_hand", size=128)
    with pytest.raises(UserError, match="trained with robotiq; the arm has panda_hand"):
        check_fit(load_agent("mpc"), other)
    other.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"goals": "dens"}, "Did you mean 'dense'"), ({"size": 5}, "from 16"), ({"gripper": "robotik"}, "Did you mean")],
)
def test_a_refused_setting_leaves_the_folder_as_it_was(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        evaluate(tmp_path / "out", replace(CONFIG, **changes), lambda *_: None)
    assert not (tmp_path / "out").exists()


def test_another_model_at_the_same_path_is_noticed(tmp_path):
    """Retrained between a stop and a resume: the table must not mix the two."""
    model = WorldModel.from_pretrained("tiny")
    model.save_pretrained(tmp_path / "model")
    config = replace(CONFIG, agent="mpc", checkpoint=str(tmp_path / "model"), size=128)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path / "out", config, stop)
    with torch.no_grad():
        model.encoder.norm.bias += 1
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="checkpoint_crc32 was"):
        evaluate(tmp_path / "out", config, stop)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": "exprt"}, "Did you mean 'expert'"),
        ({"tasks": ("reech",)}, "Did you mean 'reach'"),
        ({"objects": ("boxx",)}, "Did you mean 'box'"),
        ({"episodes": 0}, "at least one"),
        ({"vary": ("light",)}, "nothing is randomised with --randomize 0"),
        ({"seed": 2**31}, "evaluation seeds"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **changes)


def cell_of(wins):
    episodes = [{"seed": seed, "success": bool(won)} for seed, won in enumerate(wins)]
    return {"n_success": int(sum(wins)), "n_episodes": len(wins), "episodes": episodes}


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(20, 20, 83.9, 100.0), (40, 50, 67.0, 88.8), (160, 200, 73.9, 85.0), (0, 10, 0.0, 27.8)],
)
def test_intervals_are_wilsons(successes, n, low, high):
    interval = wilson_interval(successes, n)
    assert [100 * interval[0], 100 * interval[1]] == pytest.approx([low, high], abs=0.06)


def test_intervals_are_told_as_finely_as_they_need():
    assert format_rate([cell_of([True] * 9 + [False])]) == "9/10 (60–98 %)"
    assert format_rate([cell_of([True] * 100)]) == "100/100 (96–100 %)"
    assert format_rate([cell_of([True] * 100)] * 8) == "800/800 (99.5–100.0 %)"


def test_episodes_that_end_alike_are_no_more_than_one():
    rng = np.random.default_rng(0)
    wins = rng.uniform(size=100) < 0.7
    one = interval_over_starts([cell_of(wins)])
    assert one == pytest.approx(wilson_interval(int(wins.sum()), 100))
    assert interval_over_starts([cell_of(wins)] * 8) == pytest.approx(one, abs=1e-3)  # eight times the same
    apart = [cell_of(rng.uniform(size=100) < 0.7) for _ in range(8)]
    wide = interval_over_starts(apart)
    narrow = wilson_interval(sum(cell["n_success"] for cell in apart), 800)
    assert narrow[0] - 0.01 < wide[0] <= narrow[0] + 1e-9  # as good as independent, and never narrower
    always, never = cell_of([True] * 100), cell_of([False] * 100)
    assert interval_over_starts([always, never]) == pytest.approx(wilson_interval(100, 200))


def test_intervals_over_starts_hold_what_they_promise():
    """Of many draws whose starts are easy or hard for all tasks, 95 % have the true rate within theirs."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        rates = np.where(rng.uniform(size=60) < 0.5, 0.95, 0.45)
        low, high = interval_over_starts([cell_of(rng.uniform(size=60) < rates) for _ in range(6)])
        held += low <= 0.7 <= high
    assert 0.92 < held / 400 < 0.98


def test_behaviors_are_named():
    with pytest.raises(UserError, match="Did you mean 'explore'"):
        BEHAVIORS["explor"]


def test_a_fault_ends_an_episode_as_a_failure():
    env = SimEnv("reach", "box", size=64, limits=SafetyLimits(joint_margin=1.2))
    agent = load_agent("random", limits=env.arm.limits)
    score, frames = run_episode(agent, env, seed=3)
    env.close()
    assert "JointNearLimit" in score.fault
    assert not score.success
    assert len(frames) < 11
