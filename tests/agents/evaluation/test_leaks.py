"""What is scored was never trained on, and no agent is told what it must find out."""

from dataclasses import replace

import numpy as np
import pytest

from vjepa_sim.agents.evaluation.evaluate import run_episode
from vjepa_sim.baselines.cloned_policy import PolicyCard, is_policy
from vjepa_sim.card import ModelCard, read_card
from vjepa_sim.checkpoint import BUNDLED, CARD_FILE
from vjepa_sim.envs.seeds import FIRST_TRAINING_SEED, evaluation_seed, training_seed
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS

pytestmark = pytest.mark.slow

CARDS = sorted(BUNDLED.glob(f"*/{CARD_FILE}"))
COMPARED = 4  # episodes of either kind


def seeds_of(card):
    """Every seed that a checkpoint was trained on."""
    return read_card(card, PolicyCard if is_policy(card.parent) else ModelCard).training_seeds()


def drawn(task, seeds):
    """Where the object stands, where the hand starts, and how the scene looks, by seed."""
    env = SimEnv(task, "box", size=32, randomize=1.0)
    scenes = []
    for seed in seeds:
        env.reset(seed=seed)
        scenes.append((*env.simulation.object_position()[:2], *env.observation.state[:3], *env.variation.light_color))
    env.close()
    return np.array(scenes)


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.parent.name)
def test_bundled_checkpoints_saw_no_seed_that_is_scored(card):
    seen = seeds_of(card)
    assert len(seen) > 1000
    assert not seen & {evaluation_seed(0, index) for index in range(100_000)}


@pytest.mark.parametrize("task", TASKS)
def test_both_halves_of_the_seeds_draw_their_own_places_and_looks(task):
    """No part of a seed is thrown away on the way to a scene: 31 bits of a training seed are an evaluation seed."""
    trained = [training_seed(collection, 0) for collection in range(COMPARED)]
    ours, theirs = drawn(task, [seed - FIRST_TRAINING_SEED for seed in trained]), drawn(task, trained)
    for column in (slice(0, 2), slice(2, 5), slice(5, 8)):
        assert (np.abs(ours[:, column] - theirs[:, column]).max(-1) > 1e-6).all()


class Listener:
    """Notes what it is told."""

    model_evaluations = 0
    current_goal = 0

    def begin(self, goals):
        self.goals = goals

    def act(self, observation):
        self.observation = observation
        return np.zeros(7, np.float32)


def test_an_agent_is_told_images_its_own_state_and_nothing_else():
    env = SimEnv("grasp", "box", size=32)
    agent = Listener()
    run_episode(agent, env, 0)
    assert all(goal.state is None for goal in agent.goals)
    assert set(vars(agent.observation)) == {"rgb", "state", "stamp"}
    assert agent.observation.rgb.shape == (32, 32, 3)
    before = [goal.rgb.copy() for goal in agent.goals]
    _, info = env.reset(seed=0)
    assert all(np.array_equal(a, replace(b, state=None).rgb) for a, b in zip(before, info["goals"], strict=True))
    env.close()
