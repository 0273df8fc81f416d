import pytest
import torch

from vjepa_sim.agents.planning.cem import CEM, CEMConfig
from vjepa_sim.envs.errors import UserError

BOUND = torch.tensor([1.0, 1.0, 1.0, 0.0])


def quadratic(target):
    return lambda actions: (actions - target).square().sum((1, 2))


def plan(cost, seed=0, **changes):
    config = CEMConfig(samples=200, elites=20, iterations=12, min_std=0.001, **changes)
    return CEM(config, BOUND).plan(cost, torch.Generator().manual_seed(seed))


def test_it_finds_the_minimum_of_a_quadratic():
    target = torch.tensor([0.3, -0.7, 0.1, 0.0])
    found = plan(quadratic(target))
    torch.testing.assert_close(found.actions[0], target, atol=0.02, rtol=0)
    assert found.evaluations == 200 * 12


def test_over_a_horizon():
    target = torch.tensor([[0.3, -0.7, 0.1, 0.0], [-0.5, 0.2, 0.9, 0.0]])
    found = plan(quadratic(target), horizon=2)
    torch.testing.assert_close(found.actions, target, atol=0.05, rtol=0)
    assert found.evaluations == 200 * 12 * 2


def test_it_stays_in_the_box_and_leaves_pinned_dimensions():
    found = plan(quadratic(torch.tensor([5.0, -5.0, 0.0, 3.0])))
    assert torch.all(found.actions.abs() <= BOUND)
    assert found.actions[0, 3] == 0
    torch.testing.assert_close(found.actions[0, :2], torch.tensor([1.0, -1.0]), atol=0.02, rtol=0)


def test_equal_seeds_give_equal_plans():
    cost = quadratic(torch.tensor([0.2, 0.2, 0.2, 0.0]))
    assert torch.equal(plan(cost, seed=3).actions, plan(cost, seed=3).actions)
    assert not torch.equal(plan(cost, seed=3).actions, plan(cost, seed=4).actions)


def test_the_best_cost_never_rises():
    curve = plan(quadratic(torch.tensor([0.9, -0.9, 0.4, 0.0]))).curve
    assert list(curve) == sorted(curve, reverse=True)


def test_costs_that_are_not_numbers_are_refused():
    with pytest.raises(UserError, match="finite"):
        plan(lambda actions: actions.sum((1, 2)) * float("nan"))


@pytest.mark.parametrize("changes", [{"samples": 0}, {"elites": 1}, {"elites": 500}, {"horizon": 0}])
def test_senseless_settings_are_refused(changes):
    with pytest.raises(UserError):
        CEMConfig(**changes)
