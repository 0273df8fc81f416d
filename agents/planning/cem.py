"""The cross-entropy method (Rubinstein, 1999) over action sequences."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vjepa_sim.envs.errors import UserError

STARTS = 4  # starting points for a gradient descent
APART = 0.5  # distance between two of them in some dimension, as a share of its bound

Cost = Callable[[torch.Tensor], torch.Tensor]  # actions [N, H, A] to costs [N]


@dataclass(frozen=True, kw_only=True)
class CEMConfig:
    """Settings of the search.

    Attributes:
        samples: action sequences per iteration.
        elites: number of best samples to which the next iteration's distribution is fitted.
        iterations: number of iterations.
        horizon: steps of an action sequence.
        initial_std: standard deviation in the first iteration, as a share of each dimension's bound.
        min_std: lower bound of the standard deviation, likewise.
        momentum: weight of the previous mean and standard deviation in the new ones, 0 to 1.
    """

    samples: int = 32
    elites: int = 6
    iterations: int = 2
    horizon: int = 1
    initial_std: float = 0.3
    min_std: float = 0.02
    momentum: float = 0.1

    def __post_init__(self) -> None:
        if min(self.samples, self.elites, self.iterations, self.horizon) < 1:
            raise UserError(f"samples, elites, iterations and horizon must be at least 1; given {self}.")
        if not 2 <= self.elites <= self.samples:
            raise UserError(f"elites={self.elites} must lie between 2 and samples={self.samples}.")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Result of a search.

    Attributes:
        actions: planned actions [H, A]: the mean after the last iteration, or the best actions after a descent.
        cost: lowest cost that was found.
        evaluations: cost evaluations, one per sample and step of the horizon.
        curve: lowest cost so far after each iteration.
        seconds: seconds since the search began, after each iteration.
        starts: best samples that differ from each other by :data:`APART` or more [K, H, A], best first; starting points
            for a descent, as the cost may have several local minima.
    """

    actions: torch.Tensor
    cost: float
    evaluations: int
    curve: tuple[float, ...]
    seconds: tuple[float, ...]
    starts: torch.Tensor


class CEM:
    """Searches action sequences in a box around 0."""

    def __init__(self, config: CEMConfig, bound: torch.Tensor):
        """
        Args:
            config: settings of the search.
            bound: largest absolute value of each action dimension [A]; 0 keeps a dimension at 0.
        """
        self.config = config
        self.bound = bound

    def plan(self, cost: Cost, generator: torch.Generator, proposal: torch.Tensor | None = None) -> Plan:
        """Minimise a cost.

        Args:
            cost: function to minimise, from action sequences [N, H, A] to costs [N].
            generator: random generator of the samples.
            proposal: initial mean [H, A]; 0 if None.

        Raises:
            UserError: a cost is not a finite number.
        """
        config, bound = self.config, self.bound
        shape = (config.horizon, len(bound))
        mean = torch.zeros(shape) if proposal is None else proposal.clamp(-bound, bound)
        std = (config.initial_std * bound).expand(shape).clone()
        best, curve, seconds, start = float("inf"), [], [], time.perf_counter()
        drawn: list[tuple[torch.Tensor, torch.Tensor]] = []
        for _ in range(config.iterations):
            samples = mean + std * torch.randn(config.samples, *shape, generator=generator)
            samples[0] = mean  # the mean itself is always a candidate
            samples = samples.clamp(-bound, bound)
            costs = cost(samples)
            if costs.shape != (config.samples,) or not torch.isfinite(costs).all():
                raise UserError(
                    f"Expected {config.samples} finite costs of {config.samples} plans; given a tensor of shape "
                    f"{list(costs.shape)} with {int(torch.isfinite(costs).sum())} finite numbers."
                )
            drawn.append((samples, costs))
            elites = samples[costs.topk(config.elites, largest=False).indices]
            mean = config.momentum * mean + (1 - config.momentum) * elites.mean(0)
            std = config.momentum * std + (1 - config.momentum) * elites.std(0)
            std = torch.maximum(std, config.min_std * bound)
            best = min(best, float(costs.min()))
            curve.append(best)
            seconds.append(time.perf_counter() - start)
        evaluations = config.samples * config.iterations * config.horizon
        mean = mean.clamp(-bound, bound)
        return Plan(
            actions=mean,
            cost=best,
            evaluations=evaluations,
            curve=tuple(curve),
            seconds=tuple(seconds),
            starts=self._starts(drawn),
        )

    def _starts(self, drawn: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        samples, costs = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        starts = []
        while len(samples) and len(starts) < STARTS:
            starts.append(samples[costs.argmin()])
            apart = ((samples - starts[-1]).abs() > APART * self.bound).any(-1).any(-1)
            samples, costs = samples[apart], costs[apart]
        return torch.stack(starts)
