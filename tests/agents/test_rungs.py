"""The same agent on the simulated rungs, and what a comparison says of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from agents.agent import load_agent
from agents.compare import compare
from agents.deploy import DeployConfig, Operator, deploy
from agents.evaluate import EvaluationConfig, evaluate
from agents.paired import Paired
from agents.rung import Against, measure_against
from data.episode import Camera, Episode
from data.formats.droid import find_episodes, read_episode
from envs.errors import UserError
from envs.franka_env import FrankaEnv
from envs.make import make_robot
from envs.scenario import start_of

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
    env.budget = steps
    try:
        acting = load_agent(agent, "tiny", limits=env.arm.limits)
        config = replace(CONFIG, backend=backend, agent=agent, episodes=episodes)
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
    (_, again) = compare(tmp_path / "out", [runs / "sim", runs / ".." / runs.name / "sim"]).numbers["rungs"]
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
    assert f"about {cell['more_to_tell']}" in made.text
    with pytest.raises(UserError, match="Deployments and evaluations"):
        compare(tmp_path / "other", [tmp_path / "expert", runs / "sim"])


@pytest.mark.parametrize(("split", "p"), [((6, 0), 0.03125), ((0, 0), 1.0), ((10, 2), 79 * 2 / 2**12), ((5, 5), 1.0)])
def test_mcnemar_is_exact(split, p):
    assert Paired(20, *split, 7).p_value == pytest.approx(p)


def test_seeds_of_one_run_alone_do_not_count():
    paired = Paired.of({1: True, 2: True, 3: False, 9: True}, {1: True, 2: False, 3: True, 4: True})
    assert paired == Paired(1, 1, 1, 0)


def test_so_many_more_episodes_do_tell():
    """Drawn again and again at the rates seen: the exact test is a little more cautious than the formula's."""
    seen = Paired(both=10, only_first=6, only_second=2, neither=12)
    rng = np.random.default_rng(0)

    def found(n):
        draws = rng.multinomial(n, np.array([10, 6, 2, 12]) / 30, size=1000)
        p_values = {tuple(draw): Paired(*draw).p_value for draw in draws}
        return np.mean([p_values[tuple(draw)] < 0.05 for draw in draws])

    assert 0.7 < found(seen.n + seen.more_to_tell()) < 0.85
    assert found(seen.n + seen.more_to_tell() // 2) < 0.6


def test_what_is_told_already_or_never_needs_no_number():
    assert Paired(20, 6, 0, 7).more_to_tell() == 0
    assert Paired(20, 3, 3, 7).more_to_tell() is None
