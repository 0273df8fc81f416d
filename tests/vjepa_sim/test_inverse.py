"""The inverse model: learned from neighbouring moments, on a whole model that stays as it is."""

from dataclasses import replace

import pytest
import torch

from envs.errors import UserError
from vjepa_sim.cli import main
from vjepa_sim.inverse import learn_inverse
from vjepa_sim.motion_batch import draw_motion
from vjepa_sim.presets import get_preset, shortened
from vjepa_sim.world_model import WorldModel


def test_the_command_learns_one_and_leaves_the_rest_as_it_is(episodes_folder, tmp_path):
    run = tmp_path / "run"
    short = ["--steps", "1", "--batch", "2", "--threads", "1", "--out", str(run)]
    assert main(["baseline", "inverse", "--data", f"sim:{episodes_folder}", *short]) == 0
    whole, learned = WorldModel.from_pretrained("tiny"), WorldModel.from_pretrained(run)
    for part in ("encoder", "predictor"):
        for ours, theirs in zip(getattr(whole, part).parameters(), getattr(learned, part).parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    ours, theirs = whole.goal_policy.layers[0][0].weight, learned.goal_policy.layers[0][0].weight
    assert (ours - theirs).abs().mean() > 0.01  # not what it was
    assert learned.card.training["train"]["farthest"] == 1


def test_moments_are_one_step_apart_at_most(mixture):
    preset = get_preset("tiny")
    config = replace(preset.train, farthest=1, batch=2)
    drawn = draw_motion(mixture, config, preset.goal_policy, [[0, row] for row in range(20)], pictures=False)
    assert {pair.stride for pair in drawn.pairs} == {0, 1}


def test_a_model_without_a_policy_is_refused(mixture, tmp_path):
    model = WorldModel.from_pretrained("tiny").with_card(goal_policy=None)
    model.goal_policy = None
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="has no goal policy"):
        learn_inverse(
            mixture,
            str(tmp_path / "model"),
            tmp_path / "run",
            shortened(get_preset("tiny").train, 1),
            0,
            lambda *_: None,
        )
