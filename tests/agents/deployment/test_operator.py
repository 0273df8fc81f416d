"""A person at the robot: nothing without a yes, nothing lost at a no, and every fault named."""

import itertools
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from vjepa_sim.agents.calibration.calibration import fit_view
from vjepa_sim.agents.calibration.moves import Moves
from vjepa_sim.agents.comparison.motion import read_episodes
from vjepa_sim.agents.comparison.run_folder import read_runs
from vjepa_sim.agents.deployment.config import DeployConfig
from vjepa_sim.agents.deployment.deploy import Operator, deploy
from vjepa_sim.agents.deployment.preflight import check_control, preflight
from vjepa_sim.agents.policies.trivial import StillAgent
from vjepa_sim.data.formats.droid import find_episodes, read_episode
from vjepa_sim.envs.backends import make_robot
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import NotFinite, Reflex
from vjepa_sim.envs.observation import Goal
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

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
    monkeypatch.setattr("vjepa_sim.agents.deployment.recording.datetime", clock)
    yield env, [Goal(robot.glimpse().rgb, 2)], done
    env.close()


def person(done, agrees=True):
    def asked(question):
        done.append("set the scene?" if question.startswith("Reset the scene") else question)
        return agrees

    return Operator(asked, lambda index: [done.append("judge"), True][1], lambda text: None)


REAL = DeployConfig(
    backend="franka", agent="still", checkpoint="tiny", task="reach", object="box", goals="goals", episodes=1
)


def test_nothing_moves_or_speeds_up_before_the_person_agrees(watched, tmp_path):
    env, goals, done = watched
    config = replace(REAL, slow_first=True, home=True)
    info = deploy(tmp_path / "out", config, env=env, agent=StillAgent(), goals=goals, operator=person(done))
    question, *rest = done
    assert "start posture" in question and "2 episodes" in question
    episode = ["reset", "release", "judge"]
    assert rest == ["reset", "home", 0.05, *episode, "set the scene?", 1.0, *episode]
    assert info["complete"]


def test_a_no_is_a_no_to_going_home_too(watched, tmp_path):
    env, goals, done = watched
    with pytest.raises(UserError, match="did not agree"):
        deploy(
            tmp_path / "out",
            replace(REAL, home=True),
            env=env,
            agent=StillAgent(),
            goals=goals,
            operator=person(done, agrees=False),
        )
    assert len(done) == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="leave one of them out"):
        replace(REAL, home=True, dry_run=True)


def test_a_slow_episode_is_kept_and_left_out_of_the_rate(watched, tmp_path):
    env, goals, done = watched
    out = tmp_path / "out"
    judged = iter([False, True, True])
    operator = replace(person(done), judges=lambda index: next(judged))
    info = deploy(
        out, replace(REAL, slow_first=True, episodes=2), env=env, agent=StillAgent(), goals=goals, operator=operator
    )
    assert (info["cells"][0]["n_success"], info["cells"][0]["n_episodes"]) == (2, 2)
    assert info["slow_first"]["success"] is False
    kept = [read_episode(out / "episodes" / name) for name in find_episodes(out / "episodes")]
    assert sorted(episode.details["speed"] for episode in kept) == [0.05, 1.0, 1.0]
    shutil.copytree(out, tmp_path / "again")
    (run, _) = read_runs([out, tmp_path / "again"])
    assert [episode.details["speed"] for episode in read_episodes(run)] == [1.0, 1.0]


def test_real_recordings_are_filed_as_real_ones(watched, tmp_path):
    env, goals, done = watched
    deploy(tmp_path / "out", REAL, env=env, agent=StillAgent(), goals=goals, operator=person(done))
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


@pytest.mark.parametrize(
    ("failure", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (RuntimeError("a bug"), UserError)]
)
def test_whatever_ends_an_episode_its_recording_is_kept(watched, tmp_path, failure, raised):
    env, goals, done = watched
    with pytest.raises(raised):
        deploy(tmp_path / "out", REAL, env=env, agent=Failing(failure), goals=goals, operator=person(done))
    (name,) = find_episodes(tmp_path / "out" / "episodes")
    recorded = read_episode(tmp_path / "out" / "episodes" / name)
    assert (len(recorded), recorded.success) == (2, None)
    assert done[-1] == "release"


def test_whoever_gives_up_at_the_score_keeps_the_recording(watched, tmp_path):
    env, goals, done = watched

    def leaves(index):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy(
            tmp_path / "out",
            REAL,
            env=env,
            agent=StillAgent(),
            goals=goals,
            operator=replace(person(done), judges=leaves),
        )
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
        deploy(
            tmp_path / "out", replace(REAL, episodes=3), env=env, agent=StillAgent(), goals=goals, operator=person(done)
        )
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
        deploy(tmp_path / "out", REAL, env=env, agent=Constant([np.nan] * 7), goals=goals, operator=person(done))
    (episode,) = json.loads((tmp_path / "out" / "eval_info.json").read_text())["cells"][0]["episodes"]
    assert "NotFinite" in episode["fault"]


def test_a_folder_with_results_is_refused_before_anything_is_asked(watched, tmp_path):
    env, goals, done = watched
    out = tmp_path / "out"
    deploy(out, REAL, env=env, agent=StillAgent(), goals=goals, operator=person(done))
    table = (out / "eval_info.json").read_text()
    done.clear()
    with pytest.raises(UserError, match="earlier run"):
        deploy(out, REAL, env=env, agent=StillAgent(), goals=goals, operator=person(done))
    assert not done
    assert (out / "eval_info.json").read_text() == table


def test_a_dry_run_tells_what_would_really_be_sent(watched, tmp_path):
    env, goals, done = watched
    action = [1.0, 0, -1.0, 0, 0, 0, 0]
    info = deploy(
        tmp_path / "out",
        replace(REAL, dry_run=True),
        env=env,
        agent=Constant(action),
        goals=goals,
        operator=person(done),
    )
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
        checks = {check.name: check for check in preflight(env, goals, camera=None, card=card, view=view)}
        assert checks["calibration"].ok == fits
    assert "camera 7" in checks["calibration"].found and "size 64, simulated" in checks["calibration"].found


def test_a_model_of_another_arm_fails_the_check(watched):
    env, goals, _ = watched
    model = WorldModel.from_pretrained("tiny")
    (arm,) = [check for check in preflight(env, goals, card=model.card) if check.name == "arm"]
    assert arm.ok and arm.found == "panda, the model was trained with panda"
    (record, *_) = model.card.data
    model.with_card(data=({**record, "arms": ["ur5e"]},))
    (arm,) = [check for check in preflight(env, goals, card=model.card) if check.name == "arm"]
    assert not arm.ok and "trained with ur5e" in arm.found


def test_a_robot_without_modes_and_control_packets_passes_the_checks(watched, monkeypatch):
    env, goals, _ = watched
    checks = {check.name: check for check in preflight(env, goals)}
    assert checks["robot"].ok and checks["robot"].found == env.robot.description
    assert check_control(env) == []
    state = env.robot.robot_state()
    monkeypatch.setattr(env.robot, "robot_state", lambda: replace(state, needs="release the brakes"))
    (robot,) = [check for check in preflight(env, goals) if not check.ok]
    assert robot.name == "robot" and "release the brakes" in robot.remedy
