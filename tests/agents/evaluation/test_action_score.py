"""The action score's arithmetic, and the verb on real recordings."""

import json

import numpy as np
import pytest

from vjepa_sim.agents.evaluation.action_score import agent_for, learned_from, score_actions, summarize
from vjepa_sim.agents.evaluation.score_config import ScoreConfig
from vjepa_sim.cli import main
from vjepa_sim.data.mixture import load_mixture
from vjepa_sim.envs.errors import UserError
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


def test_plans_as_done_score_all_points():
    done = np.array([[0.03, 0.0, -0.05], [0.0, 0.04, 0.0]])
    assert summarize(done, done) == pytest.approx({"action_score": 80, "error_m": 0, "direction": 1, "magnitude": 1})


def test_half_the_way_has_the_direction_and_half_the_magnitude():
    done = np.array([[0.02, 0.0, -0.04], [0.0, 0.04, 0.02]])
    scores = summarize(done / 2, done)
    assert scores == pytest.approx({"action_score": 800 * 0.07, "error_m": 0.03, "direction": 1, "magnitude": 0.5})


def test_ways_that_stand_still_have_no_direction_and_no_score_is_below_zero():
    still, far = np.zeros((2, 3)), np.full((2, 3), 0.2)
    assert summarize(far, still)["direction"] is None
    assert summarize(far, still)["action_score"] == 0
    assert summarize(-far, far)["direction"] == pytest.approx(-1)
    planned = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.2, 0.2, 0.2]])
    scores = summarize(planned, np.full((3, 3), 0.2))
    assert (scores["direction"], scores["magnitude"]) == pytest.approx((1, 0))  # most plans stand still


def test_the_verb_scores_recordings(episodes_folder, tmp_path, capsys):
    model = WorldModel.from_pretrained("tiny").with_card(data=())  # it had starts of the same seeds
    model.save_pretrained(tmp_path / "model")
    checkpoint = ["--checkpoint", str(tmp_path / "model"), "--threads", "1"]
    few = ["score", *checkpoint, "--data", f"sim:{episodes_folder}", "--clips", "3"]
    assert main([*few, "--planner", "policy", "--out", str(tmp_path / "a")]) == 0
    assert "action score" in capsys.readouterr().out
    report = json.loads((tmp_path / "a" / "score.json").read_text())
    assert np.shape(report["planned_m"]) == np.shape(report["done_m"]) == (3, 3)
    assert report["provenance"]["versions"]["torch"]
    assert (tmp_path / "a" / "planned.png").exists()
    assert main([*few, "--period", "0.5", "--out", str(tmp_path / "b")]) == 2
    assert "Give --period 0.25" in capsys.readouterr().err
    still = summarize(np.zeros((3, 3)), np.array(report["done_m"]))["action_score"]
    assert report["still_score"] == pytest.approx(still, abs=0.01)  # ways are rounded
    assert main([*few, "--planner", "gradiant", "--out", str(tmp_path / "c")]) == 2
    assert "Did you mean 'gradient'" in capsys.readouterr().err
    assert main([*few, "--device", "gpu", "--out", str(tmp_path / "c")]) == 2
    assert "expected auto, cpu, cuda" in capsys.readouterr().err


@pytest.mark.parametrize(("learned_from", "alone"), [("sim", True), ("droid", True), ("elsewhere", False)])
def test_data_that_a_model_learned_from_are_known_again(learned_from, alone, episodes_folder, tmp_path, monkeypatch):
    """Whatever path and format they are given by."""
    monkeypatch.chdir(episodes_folder.parent)
    source = {"sim": f"sim:{episodes_folder}", "droid": f"droid:./{episodes_folder.name}", "elsewhere": "sim:elsewhere"}
    mixture = load_mixture(
        (f"sim:{episodes_folder}",), lambda *_: None, period=0.25, view="left", short_side=128, only_episodes=True
    )
    (record,) = mixture.records
    if not alone:
        record = {**record, "seeds": [], "frames": 5}
    model = WorldModel.from_pretrained("tiny").with_card(data=({**record, "sources": [source[learned_from]]},))
    config = ScoreConfig(planner="policy", clips=2)
    report = score_actions(agent_for(model, config), mixture, out=tmp_path / "out", config=config)
    assert report["held_out_alone"] == alone


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({"sources": ["sim:elsewhere"]}, True),  # the same seeds, copied
        ({"sources": ["sim:elsewhere"], "seeds": []}, True),  # as many frames in as many episodes
        ({"sources": ["sim:elsewhere"], "seeds": [1, 2, 3, 4, 5, 6]}, False),
    ],
)
def test_what_was_learned_from_is_known_by_place_seeds_or_size(changed, seen, mixture):
    (record,) = mixture.records
    card = WorldModel.from_pretrained("tiny").with_card(data=({**record, **changed},)).card
    assert learned_from(card, mixture) == seen


@pytest.mark.parametrize(
    ("part", "name", "recorded"), [("grippers", "panda_hand", "robotiq"), ("arms", "ur5e", "panda")]
)
def test_recordings_of_another_arm_or_gripper_are_refused(part, name, recorded, mixture, tmp_path):
    (record,) = mixture.records
    model = WorldModel.from_pretrained("tiny").with_card(data=({**record, part: [name]},))
    config = ScoreConfig(planner="policy", clips=2)
    with pytest.raises(UserError, match=f"trained with {name}; these were recorded with {recorded}"):
        score_actions(agent_for(model, config), mixture, out=tmp_path / "out", config=config)
    assert not (tmp_path / "out").exists()


def test_a_set_of_other_seeds_is_refused(mixture):
    """Its episodes stand at other numbers."""
    (record,) = mixture.records
    later = {**record, "seeds": [seed + 3 for seed in record["seeds"]]}
    card = WorldModel.from_pretrained("tiny").with_card(data=(later,)).card
    with pytest.raises(UserError, match="6 episodes and has 6 with other seeds"):
        learned_from(card, mixture)


def test_what_a_card_does_not_tell_is_unknown(mixture):
    assert learned_from(WorldModel.from_pretrained("tiny").with_card(data=()).card, mixture) is None


def test_a_set_that_grew_since_is_refused(mixture):
    """Which of its episodes were kept from the model depends on how many there were."""
    (record,) = mixture.records
    fewer = {**record, "episodes": 4, "frames": 30, "seeds": record["seeds"][:4]}
    card = WorldModel.from_pretrained("tiny").with_card(data=(fewer,)).card
    with pytest.raises(UserError, match="it had 4 episodes and has 6"):
        learned_from(card, mixture)
