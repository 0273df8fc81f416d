"""The same agent on the simulated rungs, and what a comparison says of them."""

import itertools
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from agents.agent import load_agent
from agents.baselines import StillAgent
from agents.comparing import compare
from agents.comparing.paired import Paired
from agents.comparing.run_folder import read_runs
from agents.comparing.rung import Against, measure_against, read_episodes
from agents.deploy import DeployConfig, Operator, deploy
from agents.evaluate import EvaluationConfig, evaluate
from agents.preflight import preflight
from agents.view import Moves, fit_view
from data.episode import Camera, Episode
from data.formats.droid import find_episodes, read_episode
from envs import BUDGETS
from envs.errors import UserError
from envs.faults import NotFinite, Reflex
from envs.franka_env import FrankaEnv
from envs.make import make_robot
from envs.observation import Goal
from envs.scenario import start_of
from vjepa_sim.world_model import WorldModel

CONFIG = DeployConfig("sim", agent="still", checkpoint="tiny", task="reach", object="box", goals="goals", episodes=1)


@pytest.fixture(scope="module")
def episode():
    """A start and its goals."""
    env = FrankaEnv("reach", "box", size=128)
    env.reset(seed=3)
    yield start_of(env.simulation, "reach", 3), env.goals
    env.close()


def nobody(question):
    raise AssertionError("the task's own test judges")


OPERATOR = Operator(lambda question: True, nobody, lambda text: None)


def run(out, episode, backend, agent, steps=2, episodes=1):
    """Deploy on a rung for a few steps."""
    start, goals = episode
    env = make_robot("reach", backend, size=128, period=0.25, start=start)
    try:
        acting = load_agent(agent, limits=env.arm.limits)
        config = replace(CONFIG, backend=backend, agent=agent, episodes=episodes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(BUDGETS, "reach", steps)
            return deploy(out, config, env, acting, goals, OPERATOR, env.robot.camera_card)
    finally:
        env.close()


@pytest.fixture(scope="module")
def runs(episode, tmp_path_factory):
    """The bundled model on both simulated rungs, and an agent at rest."""
    folder = tmp_path_factory.mktemp("runs")
    for name, backend, agent in (("sim", "sim", "mpc"), ("noisy-sim", "noisy-sim", "mpc"), ("still", "sim", "still")):
        run(folder / name, episode, backend, agent, episodes=1 if agent == "mpc" else 2)
    return folder


def test_the_bundled_agent_acts_is_judged_and_recorded(runs, episode):
    start, goals = episode
    for rung in ("sim", "noisy-sim"):
        info = json.loads((runs / rung / "eval_info.json").read_text())
        (cell,) = info["cells"]
        assert info["complete"]
        assert (cell["n_episodes"], cell["judged_by"]) == (1, "task")
        assert cell["model_evaluations_per_action"] > 0
        (name,) = find_episodes(runs / rung / "episodes")
        recorded = read_episode(runs / rung / "episodes" / name)
        assert len(recorded) == 3
        np.testing.assert_allclose(recorded.joints[0], start.joints, atol=1e-9)
        way = [np.linalg.norm(state[:3] - goals[-1].state[:3]) for state in recorded.states]
        assert way[2] < way[0] - 0.05
        if rung == "sim":
            assert cell["final_error_m_median"] == pytest.approx(way[2], abs=1e-6)


def test_episodes_of_the_perfect_rung_repeat(runs):
    first, second = (
        read_episode(runs / "still" / "episodes" / name) for name in find_episodes(runs / "still" / "episodes")
    )
    np.testing.assert_array_equal(first.states, second.states)


def test_a_comparison_shows_where_the_rungs_differ(runs, tmp_path):
    out = tmp_path / "out"
    made = compare(out, [runs / "sim", runs / "noisy-sim"])
    perfect, noisy = made.numbers["rungs"]
    assert perfect["against_first"] is None
    assert perfect["step_seconds"] == pytest.approx(0.25)
    assert perfect["settling_m"] < 0.001 < noisy["settling_m"]
    assert noisy["carried_out"] < perfect["carried_out"]
    assert 1 < noisy["against_first"]["picture"] < 6  # noise of 3 grey levels
    assert f"| noisy-sim | noisy-sim | {noisy['n_success']}/1 |" in made.text
    assert json.loads((out / "compare.json").read_text())["provenance"]
    assert (out / "compare.md").read_text() == made.text
    for name in ("trajectories.png", "first_pictures.png"):
        assert np.asarray(Image.open(out / name)).std() > 5


def test_a_run_is_no_different_from_itself(runs, tmp_path):
    shutil.copytree(runs / "sim", tmp_path / "again")
    folders = [runs / "sim", tmp_path / "again", runs / "sim"]  # the last one as by FIRST ALL/*
    (_, again) = compare(tmp_path / "out", folders).numbers["rungs"]
    assert again["against_first"] == {"picture": 0.0, "parted_at": None, "parted": 0, "episodes": 1}


def test_hands_that_part_in_some_episodes_do_not_never_part():
    def still(parting=None):
        """Of 8 rows; the hand jumps away at one of them."""
        states = np.zeros((8, 7))
        if parting is not None:
            states[parting:, 0] = 0.02
        frames = np.zeros((8, 4, 4, 3), np.uint8)
        return Episode((Camera("left", frames),), states, np.arange(8.0), commands=states)

    first = [still()] * 3
    assert measure_against(first, [still(5), still(), still(2)]) == Against(0.0, 3.5, 2, 3)
    assert measure_against(first, [still(), still(), still(2)]) == Against(0.0, 2.0, 1, 3)
    assert measure_against(first, first) == Against(0.0, None, 0, 3)


def test_runs_that_mean_different_things_are_refused_by_name(runs, episode, tmp_path):
    with pytest.raises(UserError, match=r"agent: sim mpc, still still; checkpoint_crc32"):
        compare(tmp_path / "out", [runs / "sim", runs / "still"])
    with pytest.raises(UserError, match="two or more"):
        compare(tmp_path / "out", [runs / "sim"])
    with pytest.raises(UserError, match="holds no results"):
        compare(tmp_path / "out", [runs / "sim", runs])
    with pytest.raises(UserError, match="two or more"):  # one that is given twice counts once
        compare(tmp_path / "out", [runs / "sim", runs / "noisy-sim" / ".." / "sim"])
    shutil.copytree(runs / "sim", tmp_path / "broken")
    whole = (tmp_path / "broken" / "eval_info.json").read_text()
    for damage, told in (
        (lambda info: info["cells"][0].pop("n_success"), "doesn't tell n_success"),
        (lambda info: info["cells"][0].update(plan_seconds_median="1"), "doesn't tell plan_seconds_median"),
        (lambda info: info["cells"][0]["episodes"][0].pop("success"), "doesn't tell success"),
        (lambda info: info["config"].pop("checkpoint"), "doesn't tell checkpoint"),
        (lambda info: info.update(method=None), "doesn't tell method"),
        (lambda info: info.update(cells=["x"]), "doesn't tell agent"),
    ):
        info = json.loads(whole)
        damage(info)
        (tmp_path / "broken" / "eval_info.json").write_text(json.dumps(info))
        with pytest.raises(UserError, match=f"is damaged: it {told}"):
            compare(tmp_path / "out", [runs / "sim", tmp_path / "broken"])
    start, goals = episode
    other = [replace(goals[0], rgb=255 - goals[0].rgb)]
    run(tmp_path / "other", (start, other), "sim", "still")
    with pytest.raises(UserError, match="goals_crc32"):
        compare(tmp_path / "out", [runs / "still", tmp_path / "other"])
    assert not (tmp_path / "out").exists()


def test_evaluations_are_compared_on_their_shared_seeds(runs, tmp_path):
    config = EvaluationConfig(agent="expert", tasks=("reach",), objects=("box",), episodes=3, seed=0, size=64, videos=0)
    evaluate(tmp_path / "expert", config, lambda *_: None)
    evaluate(tmp_path / "still", replace(config, agent="still", seed=1), lambda *_: None)
    made = compare(tmp_path / "out", [tmp_path / "expert", tmp_path / "still"])
    (cell,) = made.numbers["cells"]
    counts = {name: cell[name] for name in ("both", "only_first", "only_second", "neither")}
    assert counts == {"both": 0, "only_first": 2, "only_second": 0, "neither": 0}  # seeds 1 and 2
    assert cell["p_value"] == 0.5
    assert "| expert | 3/3 | 3/3 (44–100 %) |  |  |" in made.text
    assert "| still | 0/3 | 0/3 (0–56 %) | -100.0 points over 2 against expert | 0.5 |" in made.text
    assert "| random, beside expert | 0/3 | 0/3 (0–56 %) | | |" in made.text
    assert "| still | still | " in made.text  # how it decides, and how long that takes
    assert f"about {cell['more_to_tell']}" in made.text
    with pytest.raises(UserError, match="Deployments and evaluations"):
        compare(tmp_path / "other", [tmp_path / "expert", runs / "sim"])


def test_folders_of_one_name_are_told_apart_by_where_they_part(runs, tmp_path):
    for look in ("nominal", "light"):
        shutil.copytree(runs / "still", tmp_path / look / "still")
    assert [run.name for run in read_runs([tmp_path / "nominal" / "still", tmp_path / "light" / "still"])] == [
        "nominal/still",
        "light/still",
    ]
    assert [run.name for run in read_runs([tmp_path / "nominal" / "still", runs / "sim"])] == ["still", "sim"]


# --- a person at the robot ----------------------------------------------------------------------------------------


BEGAN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def watched(monkeypatch):
    """An arm that passes for a real one, its goals, and a list of what is done to it."""
    env = make_robot("reach", "sim", size=64, period=0.25)
    done, robot = [], env.robot
    reset = robot.reset
    monkeypatch.setattr(robot, "simulated", False, raising=False)
    monkeypatch.setattr(robot, "set_speed", lambda share: done.append(share))
    monkeypatch.setattr(robot, "go_home", lambda: done.append("home"))
    monkeypatch.setattr(robot, "release", lambda: done.append("release"))
    monkeypatch.setattr(robot, "reset", lambda: [done.append("reset"), reset()][1])
    minutes = itertools.count()
    clock = SimpleNamespace(now=lambda zone: BEGAN + timedelta(minutes=next(minutes)))
    monkeypatch.setattr("agents.recording.datetime", clock)
    yield env, [Goal(robot.glimpse().rgb, 2)], done
    env.close()


def person(done, agrees=True):
    def asked(question):
        done.append("set the scene?" if question.startswith("Set the scene") else question)
        return agrees

    return Operator(asked, lambda index: [done.append("judge"), True][1], lambda text: None)


REAL = replace(CONFIG, backend="franka")


def test_nothing_moves_or_speeds_up_before_the_person_agrees(watched, tmp_path):
    env, goals, done = watched
    config = replace(REAL, slow_first=True, home=True)
    info = deploy(tmp_path / "out", config, env, StillAgent(), goals, person(done))
    question, *rest = done
    assert "start posture" in question and "2 episodes" in question
    episode = ["reset", "release", "judge"]
    assert rest == ["reset", "home", 0.05, *episode, "set the scene?", 1.0, *episode]
    assert info["complete"]


def test_a_no_is_a_no_to_going_home_too(watched, tmp_path):
    env, goals, done = watched
    with pytest.raises(UserError, match="did not agree"):
        deploy(tmp_path / "out", replace(REAL, home=True), env, StillAgent(), goals, person(done, agrees=False))
    assert len(done) == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="leave one of them out"):
        replace(REAL, home=True, dry_run=True)


def test_a_slow_episode_is_kept_and_left_out_of_the_rate(watched, tmp_path):
    env, goals, done = watched
    out = tmp_path / "out"
    judged = iter([False, True, True])
    operator = replace(person(done), judges=lambda index: next(judged))
    info = deploy(out, replace(REAL, slow_first=True, episodes=2), env, StillAgent(), goals, operator)
    assert (info["cells"][0]["n_success"], info["cells"][0]["n_episodes"]) == (2, 2)
    assert info["slow_first"]["success"] is False
    kept = [read_episode(out / "episodes" / name) for name in find_episodes(out / "episodes")]
    assert sorted(episode.details["speed"] for episode in kept) == [0.05, 1.0, 1.0]
    shutil.copytree(out, tmp_path / "again")
    (run, _) = read_runs([out, tmp_path / "again"])
    assert [episode.details["speed"] for episode in read_episodes(run)] == [1.0, 1.0]


def test_real_recordings_are_filed_as_real_ones(watched, tmp_path):
    env, goals, done = watched
    deploy(tmp_path / "out", REAL, env, StillAgent(), goals, person(done))
    (name,) = find_episodes(tmp_path / "out" / "episodes")
    folder = tmp_path / "out" / "episodes" / name
    assert name == "1.0.1/VJEPASIM/success/2026-03-04/Wed_Mar__4_05:06:07_2026"
    told = json.loads(next(folder.glob("metadata_*.json")).read_text())
    assert told["lab"] == "VJEPASIM"
    assert told["timestamp"] == "2026-03-04-05h-06m-07s"
    (stamps,) = (folder / "recordings" / "MP4").glob("*_timestamps.json")
    assert json.loads(stamps.read_text())[:2] == [1000 * int(BEGAN.timestamp()), 1000 * int(BEGAN.timestamp()) + 250]
    assert told["vjepa_sim"]["rung"] == "franka"


class Failing(StillAgent):
    """Acts once, and fails then."""

    def __init__(self, failure):
        self.failure, self.acted = failure, False

    def act(self, observation):
        if self.acted:
            raise self.failure
        self.acted = True
        return super().act(observation)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_whatever_ends_an_episode_its_recording_is_kept(watched, tmp_path, failure):
    env, goals, done = watched
    with pytest.raises(type(failure)):
        deploy(tmp_path / "out", REAL, env, Failing(failure), goals, person(done))
    (name,) = find_episodes(tmp_path / "out" / "episodes")
    recorded = read_episode(tmp_path / "out" / "episodes" / name)
    assert (len(recorded), recorded.success) == (2, None)
    assert done[-1] == "release"


def test_whoever_gives_up_at_the_score_keeps_the_recording(watched, tmp_path):
    env, goals, done = watched

    def leaves(index):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy(tmp_path / "out", REAL, env, StillAgent(), goals, replace(person(done), judges=leaves))
    (name,) = find_episodes(tmp_path / "out" / "episodes")
    assert len(read_episode(tmp_path / "out" / "episodes" / name)) == 3


def test_a_fault_before_an_episode_begins_is_no_episode(watched, tmp_path, monkeypatch):
    env, goals, done = watched
    resets = [env.robot.reset, env.robot.reset]

    def once():
        if not resets:
            raise Reflex("it met something.")
        return resets.pop()()

    monkeypatch.setattr(env.robot, "reset", once)
    with pytest.raises(Reflex):
        deploy(tmp_path / "out", replace(REAL, episodes=3), env, StillAgent(), goals, person(done))
    (cell,) = json.loads((tmp_path / "out" / "eval_info.json").read_text())["cells"]
    assert (cell["n_episodes"], cell["n_success"]) == (1, 1)


class Constant(StillAgent):
    """Always the same action."""

    def __init__(self, action):
        self.action = np.array(action, np.float32)

    def act(self, observation):
        return self.action


def test_an_action_that_is_no_number_is_a_named_fault(watched, tmp_path):
    env, goals, done = watched
    with pytest.raises(NotFinite):
        deploy(tmp_path / "out", REAL, env, Constant([np.nan] * 7), goals, person(done))
    (episode,) = json.loads((tmp_path / "out" / "eval_info.json").read_text())["cells"][0]["episodes"]
    assert "NotFinite" in episode["fault"]


def test_a_folder_with_results_is_refused_before_anything_is_asked(watched, tmp_path):
    env, goals, done = watched
    out = tmp_path / "out"
    deploy(out, REAL, env, StillAgent(), goals, person(done))
    table = (out / "eval_info.json").read_text()
    done.clear()
    with pytest.raises(UserError, match="earlier run"):
        deploy(out, REAL, env, StillAgent(), goals, person(done))
    assert not done
    assert (out / "eval_info.json").read_text() == table


def test_a_dry_run_tells_what_would_really_be_sent(watched, tmp_path):
    env, goals, done = watched
    action = [1.0, 0, -1.0, 0, 0, 0, 0]
    info = deploy(tmp_path / "out", replace(REAL, dry_run=True), env, Constant(action), goals, person(done))
    (log,) = info["planned"]
    longest = env.arm.limits.max_translation
    assert log["action"] == action
    assert log["allowed"][0] == pytest.approx(longest)
    np.testing.assert_allclose(log["target"][:3], np.add(log["state"], log["allowed"])[:3], atol=1e-6)
    assert "step limit" in log["clipped"][0]
    assert not done


def test_a_view_of_another_camera_is_refused_with_both_named(watched):
    env, goals, _ = watched
    true = np.random.default_rng(0).uniform(-0.05, 0.05, (12, 2))
    moves = Moves(true, true)
    card = WorldModel.from_pretrained("tiny").card
    for camera, fits in ((env.robot.camera_card, True), ({"address": "7"}, False)):
        view = fit_view(moves, "tiny", 0, camera)
        checks = {check.name: check for check in preflight(env, goals, None, card, view)}
        assert checks["calibration"].ok == fits
    assert "camera 7" in checks["calibration"].found and "size 64, simulated" in checks["calibration"].found


# --- comparisons of evaluations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "p"), [((6, 0), 0.03125), ((0, 0), 1.0), ((10, 2), 79 * 2 / 2**12), ((5, 5), 1.0)])
def test_mcnemar_is_exact(split, p):
    assert Paired(20, *split, 7).p_value == pytest.approx(p)


def test_seeds_of_one_run_alone_do_not_count():
    paired = Paired.of({1: True, 2: True, 3: False, 9: True}, {1: True, 2: False, 3: True, 4: True})
    assert paired == Paired(1, 1, 1, 0)


@pytest.mark.parametrize("seen", [Paired(30, 12, 4, 10), Paired(0, 3, 0, 2), Paired(1, 1, 0, 1)])
def test_so_many_more_episodes_do_tell(seen):
    """Drawn again and again at the rates seen, and tested."""
    shares = np.array([seen.both + seen.neither, seen.only_first, seen.only_second]) / seen.n

    def found(n):
        draws = np.random.default_rng(0).multinomial(n, shares, 2000)
        return np.mean([Paired(same, first, second, 0).p_value < 0.05 for same, first, second in draws])

    assert 0.77 < found(seen.n + seen.more_to_tell()) < 0.9
    assert found(seen.n + seen.more_to_tell() // 2) < 0.65


def test_what_is_told_already_or_never_needs_no_number():
    assert Paired(20, 6, 0, 7).more_to_tell() == 0
    assert Paired(20, 3, 3, 7).more_to_tell() is None
