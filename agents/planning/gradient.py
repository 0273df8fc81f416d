"""Gradient descent on a plan through the model: L-BFGS-B (Byrd and others, 1995) within the step limits."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from vjepa_sim.agents.planning.cem import Cost, Plan
from vjepa_sim.envs.errors import UserError

TOGETHER = 10  # evaluations after which the best of the starts is chosen


def descend(plan: Plan, cost: Cost, bound: torch.Tensor, evaluations: int) -> Plan:
    """Lower a plan's cost: a few steps from all of its starts together, then more from the best of them.

    Args:
        plan: plan with its starts.
        cost: differentiable cost.
        bound: largest absolute value of each action dimension [A]; 0 keeps a dimension at 0.
        evaluations: maximum number of evaluations of cost and gradient in the second phase, approximately.

    Returns:
        The plan with the lowest cost that was evaluated, possibly one of the starts.

    Raises:
        UserError: a cost is not a finite number.
    """
    began = time.perf_counter() - plan.seconds[-1] if plan.seconds else time.perf_counter()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches of a few plans are too small to gain from more
    try:
        together = _Descent(plan.starts, cost, bound)
        together.run(TOGETHER)
        alone = _Descent(together.best[None], cost, bound)
        alone.run(evaluations)
    finally:
        torch.set_num_threads(threads)
    count = (together.count + alone.count) * plan.actions.shape[0]
    lowest = float(alone.costs.min())
    return replace(
        plan,
        actions=alone.best,
        cost=lowest,
        evaluations=plan.evaluations + count,
        curve=(*plan.curve, lowest),
        seconds=(*plan.seconds, time.perf_counter() - began),
    )


class _Descent:
    """Descent from several starts at once, as one problem: the sum of their costs.

    Attributes:
        count: cost evaluations so far.
        costs: lowest cost so far from each start [K].
    """

    def __init__(self, starts: torch.Tensor, cost: Cost, bound: torch.Tensor):
        self.count, self.costs = 0, torch.full((len(starts),), float("inf"))
        self._starts, self._lowest, self._cost_of = starts, starts.clone(), cost
        self._free = bound > 0
        self._scale = bound[self._free]

    @property
    def best(self) -> torch.Tensor:
        """Actions [H, A] with the lowest cost so far."""
        return self._lowest[self.costs.argmin()]

    def run(self, evaluations: int) -> None:
        from scipy.optimize import minimize

        begin = (self._starts[..., self._free] / self._scale).flatten().double().numpy()
        minimize(
            self._value_and_gradient,
            begin,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-1, 1)] * len(begin),
            options={"maxfun": evaluations},
        )

    def _value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Sum of the costs and its gradient, in shares of the bounds."""
        shares = torch.tensor(x.reshape(*self._starts.shape[:2], -1), dtype=torch.float32, requires_grad=True)
        with torch.enable_grad():
            free = self._free.expand_as(self._starts)
            actions = torch.zeros_like(self._starts).masked_scatter(free, shares * self._scale)
            costs = self._cost_of(actions)
            total = costs.sum()
        found = costs.detach()
        self.count += len(found)
        if not torch.isfinite(found).all():
            raise UserError(f"Expected finite costs of plans; given {found}.")
        (gradient,) = torch.autograd.grad(total, shares)
        lower = found < self.costs
        self.costs[lower], self._lowest[lower] = found[lower], actions.detach()[lower]
        return float(found.sum()), gradient.flatten().double().numpy()
