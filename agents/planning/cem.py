"""The cross-entropy method (Rubinstein, 1999) over action sequences: pure tensor code, no model, no simulator."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vjepa_sim.envs.errors import UserError

STARTS = 4  # for a descent
APART = 0.5  # times its bound, in some dimension: a quarter of the box

Cost = Callable[[torch.Tensor], torch.Tensor]  # actions [N, H, A] to costs [N]


@dataclass(frozen=True)
class CEMConfig:
    """How to search.

    Attributes:
        samples: action sequences per round.
        elites: the best of them, which the next round is drawn around.
        iterations: rounds.
        horizon: steps of a sequence.
        initial_std: standard deviation of the first round around what is proposed, as a share of each dimension's
            bound.
        min_std: floor under the deviations, in the same shares.
        momentum: weight of the old mean and deviation in the new ones.
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


@dataclass(frozen=True)
class Plan:
    """What a search found.

    Attributes:
        actions: [H, A], the mean after the last round.
        cost: of the best sample.
        evaluations: cost evaluations, one per sample and step.
        curve: best cost after each round.
        seconds: since the search began, likewise.
        starts: the best samples that lie apart from each other [K, H, A], best first: the cost may have several
            valleys.
    """

    actions: torch.Tensor
    cost: float
    evaluations: int
    curve: tuple[float, ...]
    seconds: tuple[float, ...]
    starts: torch.Tensor


class CEM:
    """Search within a box."""

    def __init__(self, config: CEMConfig, bound: torch.Tensor):
        """
        Args:
            config: how to search.
            bound: largest absolute value of each action dimension [A]; 0 pins a dimension to 0.
        """
        self.config = config
        self.bound = bound

    def plan(self, cost: Cost, generator: torch.Generator, proposal: torch.Tensor | None = None) -> Plan:
        """Minimise a cost.

        Args:
            cost: see :data:`Cost`.
            generator: the source of randomness.
            proposal: where to begin [H, A]; at 0 if not given.

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
                raise UserError(f"The cost of {config.samples} plans must be as many finite numbers; given {costs}.")
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
        return Plan(mean, best, evaluations, tuple(curve), tuple(seconds), self._starts(drawn))

    def _starts(self, drawn: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        samples, costs = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        starts = []
        while len(samples) and len(starts) < STARTS:
            starts.append(samples[costs.argmin()])
            apart = ((samples - starts[-1]).abs() > APART * self.bound).any(-1).any(-1)
            samples, costs = samples[apart], costs[apart]
        return torch.stack(starts)
