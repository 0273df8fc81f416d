"""A deployment over the real protocol: the real client, a simulated robot, a gripper on a serial device, a camera."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("franky")
pytest.importorskip("franka_sim")

from tests.envs.loopback import free_address, wait_until
from vjepa_sim.agents.deployment.config import DeployConfig
from vjepa_sim.agents.deployment.deploy import Operator, deploy
from vjepa_sim.agents.deployment.preflight import preflight
from vjepa_sim.agents.policies.trivial import RandomAgent, StillAgent
from vjepa_sim.data.formats.droid import find_episodes, read_episode
from vjepa_sim.envs.backends import make
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import Reflex
from vjepa_sim.envs.franka.driver import needs_in
from vjepa_sim.envs.observation import Goal

pytestmark = pytest.mark.slow

CONFIG = DeployConfig(
    backend="loopback", agent="random", checkpoint="", task="reach", object="box", goals="", episodes=1
)


@pytest.fixture(scope="module")
def env():
    env = make("reach", "loopback", host=free_address(), size=64, period=0.25)
    yield env
    env.close()


@pytest.fixture
def goals(env):
    return [Goal(env.robot.glimpse().rgb.copy(), 2, env.robot.glimpse().state)]


def operator(agrees=True, judges=True, told=lambda text: None):
    return Operator(lambda question: agrees, lambda index: judges, told)


def test_an_episode_is_done_judged_and_recorded(env, goals, tmp_path):
    out = tmp_path / "out"
    info = deploy(out, CONFIG, env=env, agent=RandomAgent(env.arm.limits, seed=3), goals=goals, operator=operator())
    assert info["complete"]
    (cell,) = json.loads((out / "eval_info.json").read_text())["cells"]
    assert (cell["n_episodes"], cell["n_success"], cell["judged_by"]) == (1, 1, "operator")
    assert (out / "table.md").exists()
    (name,) = find_episodes(out / "episodes")
    episode = read_episode(out / "episodes" / name)
    assert len(episode) == 3
    assert episode.success
    assert (episode.details["arm"], episode.details["gripper"]) == ("panda", "robotiq")
    moved = np.linalg.norm(episode.states[-1, :3] - episode.states[0, :3])
    commanded = np.linalg.norm(episode.commands[-1, :3] - episode.states[0, :3])
    assert moved > 0.01
    assert abs(moved - commanded) < 0.03
    assert env.robot.robot_state().mode == "Idle"  # let go of: the scene may be set


def test_a_dry_run_moves_nothing(env, goals, tmp_path):
    env.robot.release()
    wait_until(lambda: env.robot.robot.moving() < 1e-4)
    before = env.robot.robot.joints()
    told = []
    config = replace(CONFIG, dry_run=True)
    out = tmp_path / "out"
    planned = deploy(
        out, config, env=env, agent=RandomAgent(env.arm.limits), goals=goals, operator=operator(False, told=told.append)
    )
    (log,) = planned["planned"]
    assert json.loads((out / "dry_run.json").read_text())["planned"] == [log]
    np.testing.assert_allclose(np.array(log["target"])[:3], np.add(log["state"], log["allowed"])[:3], atol=1e-6)
    assert any("would move" in line for line in told)
    np.testing.assert_allclose(env.robot.robot.joints(), before, atol=1e-3)


def test_without_a_yes_nothing_moves(env, goals, tmp_path):
    with pytest.raises(UserError, match="did not agree"):
        deploy(tmp_path / "out", CONFIG, env=env, agent=StillAgent(), goals=goals, operator=operator(agrees=False))


def test_goals_of_another_camera_are_found_before_anything_moves(env, goals, tmp_path):
    small = [replace(goals[0], rgb=goals[0].rgb[::2, ::2])]
    assert [check.name for check in preflight(env, small) if not check.ok] == ["goals"]
    with pytest.raises(UserError, match="capture-goal"):
        deploy(tmp_path / "out", CONFIG, env=env, agent=StillAgent(), goals=small, operator=operator())


def test_goals_of_another_view_are_refused_with_both_named(env, goals, tmp_path):
    with pytest.raises(UserError, match=r"camera 7.*size 64, simulated"):
        deploy(
            tmp_path / "out",
            CONFIG,
            env=env,
            agent=StillAgent(),
            goals=goals,
            operator=operator(),
            camera={"address": "7"},
        )


def test_everything_is_looked_at_first(env, goals, monkeypatch):
    checks = {check.name: check for check in preflight(env, goals, camera=env.robot.camera_card)}
    assert list(checks) == ["robot", "errors", "workspace", "gripper state", "camera", "image", "goals", "view"]
    assert all(check.ok for check in checks.values())
    assert "franky-control 2.0.0" in checks["robot"].found
    assert "a second" in checks["camera"].found
    state = env.robot.robot_state()
    monkeypatch.setattr(
        env.robot,
        "robot_state",
        lambda: replace(state, mode="Reflex", needs=needs_in("Reflex"), errors=("cartesian_reflex",)),
    )
    failed = {check.name: check.found for check in preflight(env, goals) if not check.ok}
    assert failed == {
        "robot": checks["robot"].found.replace("Idle", "Reflex").replace("Move", "Reflex"),
        "errors": "cartesian_reflex",
    }


def test_the_operator_may_end_the_run_and_keep_it(env, goals, tmp_path):
    answers = iter([True, None])
    ending = Operator(lambda question: True, lambda index: next(answers), lambda text: None)
    out = tmp_path / "out"
    info = deploy(out, replace(CONFIG, episodes=3), env=env, agent=StillAgent(), goals=goals, operator=ending)
    assert not info["complete"]
    (cell,) = json.loads((out / "eval_info.json").read_text())["cells"]
    assert (cell["n_episodes"], cell["n_success"]) == (1, 1)
    kept = [read_episode(out / "episodes" / name).success for name in find_episodes(out / "episodes")]
    assert sorted(kept, key=str) == [None, True]


def test_a_fault_ends_the_run_and_keeps_what_there_is(goals, tmp_path):
    env = make("reach", "loopback", host=free_address(), size=64, period=0.25)

    class Unlucky(StillAgent):
        def act(self, observation):
            if len(seen) == 1:
                env.robot.robot.reflex()
            seen.append(observation)
            return super().act(observation)

    seen = []
    try:
        with pytest.raises(Reflex):
            deploy(tmp_path / "out", CONFIG, env=env, agent=Unlucky(), goals=goals, operator=operator())
        (episode,) = json.loads((tmp_path / "out" / "eval_info.json").read_text())["cells"][0]["episodes"]
        assert not episode["success"]
        assert "Reflex" in episode["fault"]
        assert len(find_episodes(tmp_path / "out" / "episodes")) == 1
    finally:
        env.close()
