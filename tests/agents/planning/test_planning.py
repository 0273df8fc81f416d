"""What is searched for, and how: energies, proposals, gradients, named planners."""

import itertools
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.agents.planning.cem import APART, CEM, STARTS, CEMConfig, Plan
from vjepa_sim.agents.planning.energy import ENERGY_TERMS, Energy, EnergyTerm, feature_distance
from vjepa_sim.agents.planning.gradient import TOGETHER, descend
from vjepa_sim.agents.planning.mpc import MPCAgent, MPCConfig
from vjepa_sim.agents.planning.perception import Perception
from vjepa_sim.agents.planning.presets import PLANNERS, REFERENCE, planner_for, without
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.models.goal_policy import STEPS_SCALE
from vjepa_sim.models.heads import view_shift
from vjepa_sim.world_model import WorldModel

STATE = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32)
BOUND = torch.tensor([0.075, 0.075, 0.075, 0.0, 0.0, 0.2, 0.75])


@pytest.fixture(scope="module")
def model(untrained):
    return untrained


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


def seen(model, state=STATE, correct=False):
    """The present and a goal, as the agent sees them."""
    situation = Perception(model, correct).perceive(picture(0), torch.as_tensor(state))
    return situation, situation.percept(model.encode(picture(1))[0])


def energy(model, actions, proposed=None, **weights):
    weights = {name.replace("_", "-"): weight for name, weight in weights.items()}
    with torch.no_grad():
        present, goal = seen(model)
        return (
            Energy(weights, situation=present, goal=goal, proposal=proposed, bound=BOUND)(actions),
            present,
            goal,
            present.state,
        )


def some_actions(count=5, horizon=2):
    return BOUND * (2 * torch.rand(count, horizon, 7, generator=torch.Generator().manual_seed(1)) - 1)


def test_features_alone_are_the_papers_energy(model):
    actions = some_actions()
    found, present, goal, state = energy(model, actions, features=1.0)
    with torch.no_grad():
        expected = feature_distance(model, present.z, state=state, actions=actions, goal=goal.z)
        end = model.rollout(present.z, state, actions)[:, -1]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found, (end - goal.z).abs().mean((1, 2)))


def test_each_term_measures_what_it_says(model):
    actions = some_actions()
    _, present, goal, state = energy(model, actions, features=1.0)
    with torch.no_grad():
        end = model.rollout(present.z, state, actions)[:, -1]
        place = state[:3] + actions[..., :3].sum(1)
        grip = (state[6] + actions[:, 0, 6]).clamp(0, 1)
        grip = (grip + actions[:, 1, 6]).clamp(0, 1)
        hand = goal.readings[:3] * 0.1 + torch.tensor([0.45, 0.0, 0.25])
        expected = {
            "end_effector": (place - hand).norm(dim=1) / 0.1,
            "grip": (grip - goal.readings[3]).abs(),
            "object": (model.object_decoder(end) - goal.readings[4:]).norm(dim=1),
        }
    for term, value in expected.items():
        torch.testing.assert_close(energy(model, actions, **{term: 1.0})[0], value, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(energy(model, actions, **{term: 0.5})[0], 0.5 * value, atol=1e-4, rtol=1e-4)
    proposal = some_actions(1)[0]
    away = ((actions - proposal) / BOUND.where(BOUND > 0, torch.inf)).square().sum(-1).mean(1)
    torch.testing.assert_close(energy(model, actions, proposal, proposal=1.0)[0], away)
    both = energy(model, actions, features=1.0, proposal=1.0)[0]  # there is none
    torch.testing.assert_close(both, energy(model, actions, features=1.0)[0])


def test_the_search_begins_at_what_the_goal_policy_proposes(model):
    begun = []

    def plan(self, cost, generator, proposal=None):
        begun.append(proposal)
        return Plan(
            actions=torch.zeros(2, 7), cost=0.0, evaluations=0, curve=(), seconds=(), starts=torch.zeros(1, 2, 7)
        )

    for guided in (True, False):
        agent = MPCAgent(model, MPCConfig(cem=CEMConfig(horizon=2), guided=guided, correct_view=False))
        agent._planner.plan = plan.__get__(agent._planner)
        agent.begin([Goal(picture(1), 1)])
        agent.act(Observation(picture(0), STATE, 0.0))
    assert begun[1] is None
    present, goal = seen(model)
    with torch.no_grad():
        intent = model.goal_policy(present.z, present.read(present.z), present.state, goal.z, goal.readings)
    first = begun[0][0]
    torch.testing.assert_close(first[:3], intent.motion[:3].clamp(-0.075, 0.075))
    assert torch.all(first[3:5] == 0)
    assert float(first[6]) == pytest.approx(0.75 if intent.grip > 0 else 0.0, abs=1e-6)
    assert begun[0].shape == (2, 7)


@pytest.mark.parametrize(
    "logit, closedness, sent",
    [(-0.5, 0.35, -0.75), (0.5, 0.35, 0.75), (-0.5, 0.1, -0.75), (-0.5, 0.0, 0.0), (0.5, 0.0, 0.75)],
)
def test_a_policy_that_is_not_sure_opens_or_closes_all_the_same(model, logit, closedness, sent):
    model = deepcopy(model)
    last = model.goal_policy.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias[-2] = logit
    agent = MPCAgent(model, PLANNERS["policy"].config)
    agent.begin([Goal(picture(1), 1)])
    state = STATE.copy()
    state[6] = closedness
    assert agent.act(Observation(picture(0), state, 0.0))[6] == pytest.approx(sent)


def always(model, steps):
    """The model with a goal policy that expects so many steps to every goal."""
    model = deepcopy(model)
    last = model.goal_policy.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias[-1] = steps / STEPS_SCALE
    return model


@pytest.mark.parametrize(
    "planner, steps, expected",
    [
        ("policy", 2.0, [0, 0, 1, 1, 1, 2]),  # none is reached: the clock says when
        ("policy", 0.5, [2, 2, 2, 2, 2, 2]),  # what is there already is left at once, but never the last
        ("timed", 0.5, [0, 0, 1, 1, 1, 2]),
    ],
)
def test_a_sub_goal_is_left_when_it_is_reached_or_its_steps_are_over(model, planner, steps, expected):
    config = replace(PLANNERS[planner].config, search=False)
    agent = MPCAgent(always(model, steps), config)
    agent.begin([Goal(picture(seed), count) for seed, count in ((1, 2), (2, 3), (3, 4))])
    seen = []
    for _ in expected:
        agent.act(Observation(picture(0), STATE, 0.0))
        seen.append(agent.current_goal)
    assert seen == expected
    agent.begin([Goal(picture(1), 2)])
    assert agent.current_goal == 0


def test_without_a_search_the_proposal_is_sent(model):
    agent = MPCAgent(model, PLANNERS["policy"].config)
    agent.begin([Goal(picture(1), 1)])
    action = agent.act(Observation(picture(0), STATE, 0.0))
    np.testing.assert_allclose(action[:6], agent.plan.actions[0, :6].numpy(), atol=1e-7)
    assert agent.model_evaluations == 0
    with pytest.raises(UserError, match="has none; choose another planner"):
        MPCAgent(
            WorldModel.from_pretrained("tiny").with_card(goal_policy=None),
            replace(PLANNERS["policy"].config, guided=False),
        )


def test_a_view_is_corrected_where_the_hand_is_read_farther_off_than_usual(model):
    """A camera that shows everything 5 cm to the side is as good as one that doesn't; a millimetre is a reading's
    noise.
    """
    _, raw = seen(model)
    state = torch.from_numpy(STATE).clone()
    hand = model.read(model.encode(picture(0))[0])[:3] * 0.1 + torch.tensor([0.45, 0.0, 0.25])
    for off, share in ((torch.tensor([0.0, 0.05, 0.0]), 0.98), (torch.tensor([0.001, 0.0, 0.0]), 0.02)):
        state[:3] = hand - off
        present, goal = seen(model, state, correct=True)
        torch.testing.assert_close(present.shift, off / 0.1 * share, atol=1e-3, rtol=0.01)
        torch.testing.assert_close(goal.readings[:3], raw.readings[:3] - present.shift)
        torch.testing.assert_close(goal.readings[4:], raw.readings[4:] - present.shift)
        assert goal.readings[3] == raw.readings[3]


def test_a_view_is_shifted_by_no_more_than_every_picture_of_an_episode_shows(model):
    """A misread hand does not lead the arm away."""
    hand = model.read(model.encode(picture(0))[0])[:3] * 0.1 + torch.tensor([0.45, 0.0, 0.25])
    offs = torch.tensor([[0.0, 0.0, 0.04], [0.0, 0.0, 0.04], [0.0, 0.0, 0.04], [0.08, 0.0, 0.04]])
    state, all_of_them, newest = (
        torch.from_numpy(STATE).clone(),
        Perception(model, True),
        Perception(model, True, newest_only=True),
    )
    for off in offs:
        state[:3] = hand - off
        present, alone = (each.perceive(picture(0), state) for each in (all_of_them, newest))
    torch.testing.assert_close(present.shift, view_shift(torch.tensor([0.0, 0.0, 0.4])), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone.shift, view_shift(torch.tensor([0.8, 0.0, 0.4])), atol=1e-4, rtol=1e-4)


def test_what_is_corrected_is_what_the_energy_sees(model):
    """Moved camera, moved arm: energies of a corrected view are those of the arm where the picture shows it."""
    actions, state = some_actions(), torch.from_numpy(STATE).clone()
    state[:3] = model.read(model.encode(picture(0))[0])[:3] * 0.1 + torch.tensor([0.45, 0.0, 0.25])
    elsewhere = state.clone()
    elsewhere[:3] += torch.tensor([0.3, -0.3, 0.2])  # so far that next to all of it is corrected
    weights = {"end-effector": 0.2, "grip": 0.2, "object": 0.2}
    with torch.no_grad():
        here, there, uncorrected = (
            Energy(weights, situation=situation, goal=goal, proposal=None, bound=BOUND)(actions)
            for situation, goal in (seen(model, state, True), seen(model, elsewhere, True), seen(model, elsewhere))
        )
    # The imagined end depends on the arm's state too, so the object may be read elsewhere; hands and grip are as near.
    assert (here - there).abs().max() < 0.05 < 0.2 < (here - uncorrected).abs().max()


def test_a_search_around_a_proposal_stays_near_it_where_the_cost_is_flat():
    cem = CEM(CEMConfig(samples=64, elites=8, iterations=1, initial_std=0.01), BOUND)
    proposal = some_actions(1, 1)[0]
    found = cem.plan(lambda actions: torch.zeros(len(actions)), torch.Generator().manual_seed(0), proposal)
    assert torch.all((found.actions - proposal).abs() <= 0.01 * BOUND + 1e-7)


def begun_at(*starts):
    """A plan with starts [H, 7]."""
    return Plan(actions=starts[0], cost=9.0, evaluations=10, curve=(9.0,), seconds=(0.1,), starts=torch.stack(starts))


def test_descending_finds_the_minimum_within_the_box():
    target = torch.tensor([0.03, -0.2, 0.0, 0.5, 0.0, 0.1, 0.3])
    start = begun_at(torch.zeros(2, 7))
    cost = lambda actions: (((actions - target) / 0.1) ** 2).sum((1, 2))  # noqa: E731
    found = descend(start, cost, BOUND, evaluations=40)
    expected = torch.minimum(torch.maximum(target, -BOUND), BOUND).expand(2, 7)
    torch.testing.assert_close(found.actions, expected, atol=1e-4, rtol=0)
    assert found.cost == pytest.approx(float(cost(found.actions[None])), rel=1e-5)
    assert 10 < found.evaluations <= 10 + 2 * (45 + TOGETHER + 5)
    assert torch.all(found.actions[:, 3:5] == 0)


def two_valleys(actions):
    """One at -0.05, and a slightly deeper one at 0.05."""
    x = actions[..., 0].sum(1)
    return torch.minimum((x + 0.05).abs(), (x - 0.05).abs() - 0.002) * 20 + actions[..., 1:].square().sum((1, 2))


def test_starts_are_the_best_samples_of_several_parts_of_the_box():
    cem = CEM(CEMConfig(samples=64, elites=6, iterations=1, initial_std=1.0), BOUND)
    starts = cem.plan(two_valleys, torch.Generator().manual_seed(0)).starts
    assert starts.shape == (STARTS, 1, 7)
    assert list(two_valleys(starts)) == sorted(two_valleys(starts))
    for one, other in itertools.combinations(starts, 2):
        assert ((one - other).abs() > APART * BOUND).any()
    near = CEM(CEMConfig(samples=64, elites=6, iterations=1, initial_std=0.01), BOUND)
    assert len(near.plan(two_valleys, torch.Generator().manual_seed(0)).starts) == 1


def test_descending_ends_in_the_deepest_of_the_valleys():
    shallow, deep = torch.zeros(1, 7), torch.zeros(1, 7)
    shallow[0, 0], deep[0, 0] = -0.04, 0.03
    assert float(descend(begun_at(shallow), two_valleys, BOUND, 20).actions[0, 0]) == pytest.approx(-0.05, abs=1e-3)
    found = descend(begun_at(shallow, deep), two_valleys, BOUND, 20)
    assert float(found.actions[0, 0]) == pytest.approx(0.05, abs=1e-3)
    assert found.curve == (9.0, found.cost)
    assert found.seconds[1] > found.seconds[0]


def test_descending_lowers_an_energy_of_the_model(model):
    agent = MPCAgent(model, MPCConfig(cem=CEMConfig(samples=16, elites=4, iterations=2), gradient=8))
    agent.begin([Goal(picture(1), 1)])
    agent.act(Observation(picture(0), STATE, 0.0))
    assert agent.plan.cost <= agent.plan.curve[-2] + 1e-6
    assert agent.model_evaluations > 32


def test_descending_refuses_what_is_no_number():
    start = begun_at(torch.zeros(1, 7))
    with pytest.raises(UserError, match="finite"):
        descend(start, lambda actions: actions.sum((1, 2)) * torch.nan, BOUND, 5)


def test_the_reference_is_the_papers():
    """800 samples, 10 rounds, 10 elites, one step ahead, features alone, no rotation, from zero."""
    cem = REFERENCE.cem
    assert (cem.samples, cem.iterations, cem.elites, cem.horizon) == (800, 10, 10, 1)
    assert REFERENCE.energy == {"features": 1.0}
    assert REFERENCE.searched == (0, 1, 2, 6)
    assert not REFERENCE.guided
    assert REFERENCE.gradient == 0
    with pytest.raises(UserError, match="Did you mean 'reference'"):
        PLANNERS["referense"]


def test_a_model_without_a_policy_is_searched_widely_by_default():
    model = WorldModel.from_pretrained("tiny")
    assert planner_for(model, "default") == MPCConfig()
    model.goal_policy = None
    assert planner_for(model, "default") == PLANNERS["unguided"].config
    assert planner_for(model, "reference") == REFERENCE
    unguided = PLANNERS["unguided"].config
    blind = replace(unguided, energy=without(unguided.energy, "features"))
    assert planner_for(model, "no-features") == blind  # a lever is taken from what the model has
    assert planner_for(model, "uncorrected") == replace(unguided, correct_view=False)
    with pytest.raises(UserError, match=r"'no-steps' leaves out a component that 'unguided'.* does not have"):
        planner_for(model, "no-steps")


@pytest.mark.parametrize("term", ["features", "end-effector", "grip", "object", "steps", "proposal"])
def test_a_lever_is_off_and_the_others_as_in_the_default(term):
    config, default = PLANNERS[f"no-{term}"].config, PLANNERS["default"].config
    assert default.energy[term] > 0
    assert term not in config.energy
    assert replace(config, energy={**config.energy, term: default.energy[term]}) == default


def test_a_goal_of_another_shape_is_refused(model):
    agent = MPCAgent(model)
    wide = np.zeros((64, 96, 3), np.uint8)
    agent.begin([Goal(wide, 1)])
    with pytest.raises(UserError, match=r"64 × 64 pixels, the goal's 96 × 64.*capture-goal"):
        agent.act(Observation(picture(0), STATE, 0.0))
    agent.begin([Goal(picture(1), 1), Goal(wide, 1)])
    with pytest.raises(UserError, match="capture-goal"):  # before the arm has gone half of the way
        agent.act(Observation(picture(0), STATE, 0.0))
    agent.begin([Goal(np.zeros((128, 128, 3), np.uint8), 1)])
    agent.act(Observation(picture(0), STATE, 0.0))  # more pixels of the same view
    with pytest.raises(UserError, match="smaller than"):
        agent.begin([Goal(np.zeros((32, 32, 3), np.uint8), 1)])


def test_an_energy_that_is_no_number_is_an_error(model):
    agent = MPCAgent(model, MPCConfig(energy={"features": float("nan")}))
    agent.begin([Goal(picture(1), 1)])
    with pytest.raises(UserError, match="finite costs"):
        agent.act(Observation(picture(0), STATE, 0.0))


@pytest.mark.parametrize("weights", [{}, {"features": 0.0}, {"proposal": 1.0}])
def test_an_energy_that_would_always_be_zero_is_refused(model, weights):
    given = [name for name, weight in weights.items() if weight]
    with pytest.raises(UserError, match=rf"nothing to minimise.*\({', '.join(given) or 'there are none'}\)"):
        MPCAgent(model, MPCConfig(energy=weights, guided=False))
    MPCAgent(model, MPCConfig(energy={**weights, "grip": 1.0}, guided=False))


def test_terms_that_a_model_lacks_are_named(model):
    blind = deepcopy(model)
    blind.state_decoder = blind.goal_policy = None
    with pytest.raises(UserError, match=r"\(grip, object\)"):
        MPCAgent(blind, MPCConfig(energy={"grip": 1.0, "object": 1.0}))


def test_a_term_may_refuse_a_model(model, monkeypatch):
    def refuse(model):
        raise UserError("not this one")

    monkeypatch.setitem(ENERGY_TERMS._parts, "picky", EnergyTerm("picky", lambda imagined: None, refuse))
    with pytest.raises(UserError, match="not this one"):
        MPCAgent(model, MPCConfig(energy={"features": 1.0, "picky": 1.0}))
