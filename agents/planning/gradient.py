"""Improve a plan by gradients through the model: quasi-Newton steps in the box (L-BFGS-B, Byrd and others, 1995)."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from vjepa_sim.agents.planning.cem import Cost, Plan
from vjepa_sim.envs.errors import UserError

TOGETHER = 10  # evaluations that tell which valley is the deepest


def descend(plan: Plan, cost: Cost, bound: torch.Tensor, evaluations: int) -> Plan:
    """Lower a plan's cost further: some steps down from all of its starts together, then on from the lowest alone.

    Args:
        plan: where to begin.
        cost: differentiable.
        bound: largest absolute value of each action dimension [A]; 0 keeps a dimension at 0.
        evaluations: of the cost with its gradient, about as many at most, for the lowest alone.

    Returns:
        The best plan that was met, perhaps one of the starts.

    Raises:
        UserError: a cost is not a finite number.
    """
    began = time.perf_counter() - plan.seconds[-1] if plan.seconds else time.perf_counter()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a few plans at a time are too little for several: they would wait for each other
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
    """From several starts at once, as one problem.

    Attributes:
        count: evaluations so far.
        costs: the lowest that was met from each start [K].
    """

    def __init__(self, starts: torch.Tensor, cost: Cost, bound: torch.Tensor):
        self.count, self.costs = 0, torch.full((len(starts),), float("inf"))
        self._starts, self._lowest, self._cost_of = starts, starts.clone(), cost
        self._free = bound > 0
        self._scale = bound[self._free]

    @property
    def best(self) -> torch.Tensor:
        """The actions [H, A] with the lowest cost that was met."""
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
        """Of all costs together, in shares of the bounds."""
        shares = torch.tensor(x.reshape(*self._starts.shape[:2], -1), dtype=torch.float32, requires_grad=True)
        with torch.enable_grad():
            free = self._free.expand_as(self._starts)
            actions = torch.zeros_like(self._starts).masked_scatter(free, shares * self._scale)
            costs = self._cost_of(actions)
            total = costs.sum()
        found = costs.detach()
        self.count += len(found)
        if not torch.isfinite(found).all():
            raise UserError(f"The costs of plans must be finite numbers; given {found}.")
        (gradient,) = torch.autograd.grad(total, shares)
        lower = found < self.costs
        self.costs[lower], self._lowest[lower] = found[lower], actions.detach()[lower]
        return float(found.sum()), gradient.flatten().double().numpy()
