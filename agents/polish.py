"""Polish a plan by gradients through the model: quasi-Newton steps within the box (L-BFGS-B, Byrd and others, 1995)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from agents.cem import Cost, Plan
from envs.errors import UserError


def polish(plan: Plan, cost: Cost, bound: torch.Tensor, evaluations: int) -> Plan:
    """Lower a plan's cost further.

    Args:
        plan: where to begin.
        cost: differentiable.
        bound: largest absolute value of each action dimension [A]; 0 keeps a dimension at 0.
        evaluations: of the cost with its gradient, about as many at most.

    Returns:
        The best plan that was met, perhaps the one given.

    Raises:
        UserError: a cost is not a finite number.
    """
    from scipy.optimize import minimize

    free = bound > 0
    shape, scale = plan.actions[:, free].shape, bound[free]
    count, best, best_cost = 0, plan.actions, float("inf")

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal count, best, best_cost
        count += 1
        shares = torch.tensor(x.reshape(shape), dtype=torch.float32, requires_grad=True)
        with torch.enable_grad():
            actions = torch.zeros_like(plan.actions).masked_scatter(free.expand_as(plan.actions), shares * scale)
            cost_of_it = cost(actions[None])[0]
        value = cost_of_it.item()
        if not np.isfinite(value):
            raise UserError(f"The cost of a plan must be a finite number; given {value}.")
        (gradient,) = torch.autograd.grad(cost_of_it, shares)
        if value < best_cost:
            best, best_cost = actions.detach(), value
        return value, gradient.flatten().double().numpy()

    start = (plan.actions[:, free] / scale).flatten().double().numpy()
    minimize(
        value_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-1, 1)] * len(start),
        options={"maxfun": evaluations},
    )
    horizon = plan.actions.shape[0]
    return replace(plan, actions=best, cost=best_cost, evaluations=plan.evaluations + count * horizon)
