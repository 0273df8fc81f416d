"""The inverse model: learned from neighbouring moments, on a whole model that stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import PLANNERS, planner_for
from vjepa_sim.baselines.inverse import learn_inverse
from vjepa_sim.cli import main
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.training.presets import PRESETS, shortened
from vjepa_sim.training.train_batch import done_between, draw_motion
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

HOME = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32)


def test_the_command_learns_one_and_leaves_the_rest_as_it_is(episodes_folder, tmp_path):
    run = tmp_path / "run"
    short = ["--steps", "1", "--batch", "2", "--threads", "1", "--out", str(run)]
    assert main(["baseline", "inverse", "--data", f"sim:{episodes_folder}", *short]) == 0
    whole, learned = WorldModel.from_pretrained("tiny"), WorldModel.from_pretrained(run)
    for part in ("encoder", "predictor"):
        for ours, theirs in zip(getattr(whole, part).parameters(), getattr(learned, part).parameters(), strict=True):
            assert torch.equal(ours, theirs)
    begun = WorldModel.from_pretrained(tmp_path / "run-start")
    old, new, now = (model.goal_policy.layers[0][0].weight for model in (whole, begun, learned))
    assert (old - new).abs().mean() > 0.01  # forgotten
    assert 0 < (new - now).abs().max() < 0.01  # and learned anew, as far as one step goes
    assert learned.card.goal_policy == replace(whole.card.goal_policy, farthest=1, inverse=True)


def test_it_learns_what_led_from_one_moment_to_the_next(mixture):
    preset = PRESETS["tiny"]
    policy = replace(preset.goal_policy, inverse=True)
    drawn = draw_motion(
        mixture, replace(preset.train, batch=2), policy=policy, seeds=[[0, row] for row in range(20)], images=False
    )
    assert {pair.stride for pair in drawn.pairs} == {1}
    for pair in drawn.pairs:
        np.testing.assert_array_equal(pair.commands[0, :6], pair.states[1, :6])


def test_it_acts_without_a_search_and_leaves_no_sub_goal_early():
    model = WorldModel.from_pretrained("inverse")
    assert planner_for(model, "default") == PLANNERS["policy"].config
    agent = MPCAgent(model, planner_for(model, "default"))
    picture = np.zeros((128, 128, 3), np.uint8)
    agent.begin([Goal(picture, 2), Goal(picture, 2)])
    seen = []
    for _ in range(3):
        agent.act(Observation(picture, HOME, 0.0))
        seen.append(agent.current_goal)
    assert seen == [0, 0, 1]
    with pytest.raises(UserError, match="does not predict the steps left"):
        MPCAgent(model, PLANNERS["timed"].config)


def test_fingers_that_stop_at_what_they_hold_were_told_to_close():
    states = np.array([[0.4, 0, 0.3, 0, 0, 0, 0.3], [0.45, 0, 0.3, 0, 0, 0, 0.35]], np.float32)
    told = np.array([[0.5, 0, 0.3, 0, 0, 0, 1.0], [0.5, 0, 0.3, 0, 0, 0, 0.0]], np.float32)
    clip = RobotClip(frames=None, states=states, objects=states[:, :3], commands=told, numbers=np.arange(2))
    np.testing.assert_allclose(done_between(clip), [[0.45, 0, 0.3, 0, 0, 0, 1.0]])
    unknown = replace(clip, commands=np.full((2, 7), np.nan, np.float32))
    np.testing.assert_array_equal(done_between(unknown), states[1:])


def test_a_model_without_a_policy_is_refused(mixture, tmp_path):
    model = WorldModel.from_pretrained("tiny").with_card(goal_policy=None)
    model.goal_policy = None
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="has no goal policy"):
        learn_inverse(
            mixture,
            str(tmp_path / "model"),
            tmp_path / "run",
            shortened(PRESETS["tiny"].train, 1),
            seed=0,
            report=lambda *_: None,
        )
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]  # nothing stands in the way of the next try
