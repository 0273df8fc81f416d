"""Polish a plan by gradients through the model: quasi-Newton steps within the box (L-BFGS-B, Byrd and others, 1995)."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from agents.cem import Cost, Plan
from envs.errors import UserError


def polish(plan: Plan, cost: Cost, bound: torch.Tensor, evaluations: int) -> Plan:
    """Lower a plan's cost further, from where the search ended and from its rival.

    Args:
        plan: where to begin.
        cost: differentiable.
        bound: largest absolute value of each action dimension [A]; 0 keeps a dimension at 0.
        evaluations: of the cost with its gradient, about as many at most, from either.

    Returns:
        The best plan that was met, perhaps the one given.

    Raises:
        UserError: a cost is not a finite number.
    """
    began = time.perf_counter() - plan.seconds[-1] if plan.seconds else time.perf_counter()
    starts = [plan.actions] if plan.rival is None else [plan.actions, plan.rival]
    descents = [_Descent(start, cost, bound) for start in starts]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one plan at a time is too little for several: they would wait for each other
    try:
        for descent in descents:
            descent.run(evaluations)
    finally:
        torch.set_num_threads(threads)
    best = min(descents, key=lambda descent: descent.cost)
    lowest = min(plan.cost, best.cost)  # the search's best sample may be lower still
    count = sum(descent.count for descent in descents) * plan.actions.shape[0]
    return replace(
        plan,
        actions=best.actions,
        cost=best.cost,
        evaluations=plan.evaluations + count,
        curve=(*plan.curve, lowest),
        seconds=(*plan.seconds, time.perf_counter() - began),
    )


class _Descent:
    """From one start.

    Attributes:
        actions, cost: the best that was met.
        count: evaluations so far.
    """

    def __init__(self, start: torch.Tensor, cost: Cost, bound: torch.Tensor):
        self.actions, self.cost, self.count = start, float("inf"), 0
        self._start, self._cost_of, self._free = start, cost, bound > 0
        self._scale = bound[self._free]

    def run(self, evaluations: int) -> None:
        from scipy.optimize import minimize

        begin = (self._start[:, self._free] / self._scale).flatten().double().numpy()
        minimize(
            self._value_and_gradient,
            begin,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-1, 1)] * len(begin),
            options={"maxfun": evaluations},
        )

    def _value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """In shares of the bounds."""
        self.count += 1
        shares = torch.tensor(x.reshape(len(self._start), -1), dtype=torch.float32, requires_grad=True)
        with torch.enable_grad():
            free = self._free.expand_as(self._start)
            actions = torch.zeros_like(self._start).masked_scatter(free, shares * self._scale)
            cost = self._cost_of(actions[None])[0]
        value = cost.item()
        if not np.isfinite(value):
            raise UserError(f"The cost of a plan must be a finite number; given {value}.")
        (gradient,) = torch.autograd.grad(cost, shares)
        if value < self.cost:
            self.actions, self.cost = actions.detach(), value
        return value, gradient.flatten().double().numpy()
