"""Results read back: which folders can be read together, what they are called, and what is wrong with damaged ones."""

import json
import shutil

import pytest

from vjepa_sim.agents.comparison.run_folder import read_runs
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import evaluate
from vjepa_sim.envs.errors import UserError


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """An evaluation."""
    folder = tmp_path_factory.mktemp("results") / "still"
    config = EvaluationConfig(
        agent="still", baselines=("random",), tasks=("reach",), objects=("box",), episodes=1, size=64, videos=0
    )
    evaluate(folder, config, lambda *_: None)
    return folder


@pytest.fixture
def other(still, tmp_path):
    """A copy."""
    return shutil.copytree(still, tmp_path / "other")


def test_folders_of_one_name_are_told_apart_by_where_they_part(still, tmp_path):
    nominal, light = (shutil.copytree(still, tmp_path / look / "still") for look in ("nominal", "light"))
    assert [run.name for run in read_runs([nominal, light])] == ["nominal/still", "light/still"]
    assert [run.name for run in read_runs([nominal, shutil.copytree(still, tmp_path / "rest")])] == ["still", "rest"]


def test_two_folders_are_needed_and_one_that_is_given_twice_counts_once(still, other):
    with pytest.raises(UserError, match="two folders or more, and 1 was given"):
        read_runs([still])
    with pytest.raises(UserError, match="and the same one twice was given"):
        read_runs([still, still.parent / ".." / still.parent.name / "still"])
    with pytest.raises(UserError, match=r"holds no results: expected deploy_config\.json or eval_config\.json"):
        read_runs([still, other.parent])
    with pytest.raises(UserError, match="There is no folder"):
        read_runs([still, other.parent / "nowhere"])


def test_deployments_and_evaluations_are_told_apart(still, other):
    (other / "eval_config.json").rename(other / "deploy_config.json")
    with pytest.raises(UserError, match="Deployments and evaluations"):
        read_runs([still, other])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda info: info["cells"][0].pop("n_success"), "is damaged: it lacks n_success"),
        (lambda info: info["cells"][0].update(plan_seconds_median="1"), "lacks plan_seconds_median"),
        (lambda info: info["cells"][0].update(n_episodes=9), "n_episodes of reach box is 9, but .* by its episodes"),
        (lambda info: info["cells"][0].update(n_success=1), "n_success of reach box is 1, but 0 by its episodes"),
        (
            lambda info: info["cells"][0].update(n_episodes=2, episodes=2 * info["cells"][0]["episodes"]),
            "reach box has two episodes with the same seed",
        ),
        (lambda info: info["cells"][0]["episodes"][0].pop("success"), "lacks success"),
        (lambda info: info["config"].update(agent="mpc", checkpoint=None), "lacks checkpoint"),
        (lambda info: info["config"].update(randomize="1"), "lacks randomize"),
        (lambda info: [info["config"].update(randomize=1.0), info["config"].pop("vary")], "lacks vary"),
        (lambda info: info.update(method=None), "lacks method"),
        (lambda info: info.update(cells=["x"]), "lacks agent"),
        (lambda info: info["cells"].pop(0), "no episode of its agent 'still'"),
    ],
)
def test_what_is_wrong_with_damaged_results_is_named(damage, told, still, other):
    info = json.loads((other / "eval_info.json").read_text())
    damage(info)
    (other / "eval_info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match=told):
        read_runs([still, other])
