"""The same agent on the simulated rungs, and what a comparison says of them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vjepa_sim.agents.comparison import compare
from vjepa_sim.agents.comparison.motion import Against, measure_against
from vjepa_sim.agents.deployment.config import DeployConfig
from vjepa_sim.agents.deployment.deploy import Operator, deploy
from vjepa_sim.agents.registry import load_agent
from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.formats.droid import find_episodes, read_episode
from vjepa_sim.envs.backends import make_robot
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.scenario import start_of

pytestmark = pytest.mark.slow

CONFIG = DeployConfig(
    backend="sim", agent="still", checkpoint="tiny", task="reach", object="box", goals="goals", episodes=1
)


@pytest.fixture(scope="module")
def episode():
    """A start and its goals."""
    env = SimEnv("reach", "box", size=128)
    env.reset(seed=3)
    yield start_of(env.simulation, "reach", 3), env.goals
    env.close()


def nobody(question):
    raise AssertionError("the task's own test judges")


OPERATOR = Operator(lambda question: True, nobody, lambda text: None)


def run(out, episode, backend, agent, steps=2):
    """Deploy on a rung for a few steps."""
    start, goals = episode
    env = make_robot("reach", backend, size=128, period=0.25, start=start)
    try:
        acting = load_agent(agent, limits=env.arm.limits)
        config = replace(CONFIG, backend=backend, agent=agent, episodes=1)
        short = [replace(goal, steps=steps) for goal in goals]
        return deploy(out, config, env=env, agent=acting, goals=short, operator=OPERATOR, camera=env.robot.camera_card)
    finally:
        env.close()


@pytest.fixture(scope="module")
def runs(episode, tmp_path_factory):
    """The bundled model on both simulated rungs, and an agent at rest."""
    folder = tmp_path_factory.mktemp("runs")
    for name, backend, agent in (
        ("sim", "sim", "mpc"),
        ("noisy-sim", "noisy-sim", "mpc"),
        ("still", "sim", "still"),
        ("still again", "sim", "still"),
    ):
        run(folder / name, episode, backend, agent)
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
        read_episode(folder / name)
        for folder in (runs / "still" / "episodes", runs / "still again" / "episodes")
        for name in find_episodes(folder)
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
    start, goals = episode
    other = [replace(goals[0], rgb=255 - goals[0].rgb)]
    run(tmp_path / "other", (start, other), "sim", "still")
    with pytest.raises(UserError, match="goals_crc32"):
        compare(tmp_path / "out", [runs / "still", tmp_path / "other"])
    assert not (tmp_path / "out").exists()
