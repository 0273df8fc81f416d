"""The training loop that all trainers share: draw a batch, descend on its loss, log, evaluate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from torch.distributed.tensor import DTensor

from vjepa_sim.data.prefetch import Ahead
from vjepa_sim.envs.errors import UserError
from vjepa_sim.training.run import Report, Run
from vjepa_sim.training.schedule import Schedule

LOG_EVERY = 20  # steps

Drawn = TypeVar("Drawn")


class Recipe(Protocol):
    """Settings of the optimizer; the configuration of every trainer has them."""

    @property
    def learning_rate(self) -> Schedule:
        """AdamW's learning rate."""
        ...

    @property
    def weight_decay(self) -> Schedule:
        """AdamW's weight decay; biases and norms don't decay."""
        ...

    @property
    def max_gradient_norm(self) -> float | None:
        """Norm to which larger gradients are scaled down; None for no limit."""
        ...


@dataclass(frozen=True)
class MovingAverage:
    """Exponential moving average of the weights of a network in training.

    Attributes:
        average: Network that holds the average.
        online: Network in training, of the same architecture.
        decay: Share of the average that is kept at each step.
    """

    average: nn.Module
    online: nn.Module
    decay: Schedule

    @torch.no_grad()
    def update(self, step: int, steps: int) -> None:
        """Move the average towards the weights after one of the run's steps."""
        share = self.decay.at(step, steps)
        for kept, learned in zip(self.average.parameters(), self.online.parameters(), strict=True):
            kept.lerp_(learned, 1 - share)


@dataclass(frozen=True)
class Evaluation:
    """A measurement of the model that is repeated during training.

    Attributes:
        name: Prefix of the results in the log, as in ``held_out/loss``.
        every: Number of steps between two evaluations.
        measure: Returns the results by name and, for TensorBoard, an image uint8 [H, W, 3] or None.
        image: Name of the image.
        at_end: Whether the model is also evaluated after the last step.
    """

    name: str
    every: int
    measure: Callable[[], tuple[dict[str, float], np.ndarray | None]]
    _: KW_ONLY
    image: str = "image"
    at_end: bool = True

    def is_due(self, step: int, steps: int) -> bool:
        """Whether the model is evaluated after this step."""
        return (step + 1) % self.every == 0 or (self.at_end and step + 1 == steps)


def fit(
    run: Run,
    objective: nn.Module,
    recipe: Recipe,
    *,
    draw: Callable[[int], Drawn],
    tensors: Callable[[int, Drawn], tuple[Any, ...]],
    evaluations: Sequence[Evaluation],
    report: Report,
    average: MovingAverage | None = None,
) -> None:
    """Train for the steps that are left of a run. The objective is in evaluation mode while it is evaluated.

    Args:
        run: Folder of the run, after :meth:`.Run.restore`.
        objective: Module that holds all trained parameters, on its device. It returns the losses of a batch by name;
            the optimizer descends on ``loss``.
        recipe: Settings of the optimizer.
        draw: Reads the data of a step. It is called ahead of time, in a thread of its own.
        tensors: Makes the arguments of the objective from a step and its data.
        evaluations: Evaluations, in order.
        report: Called with (step, steps, scalars).
        average: Moving average, updated after each step.

    Raises:
        UserError: The loss or its gradient is not finite. The weights are those before this step.
        KeyboardInterrupt: Ctrl-C was pressed. The last step is complete and saved.
    """
    if run.is_over(report):
        return
    optimizer = make_optimizer(objective)
    run.attach(objective, optimizer)
    losses_of = run.compute.replicate(objective)
    ahead = Ahead(draw)
    for step in run.loop(report):
        batch = tensors(step, ahead.take(step, run.steps))
        objective.train()
        _descend(run, optimizer, recipe, losses_of, batch)
        if average is not None:
            average.update(step, run.steps)
        for evaluation in evaluations:
            if evaluation.is_due(step, run.steps):
                objective.eval()
                scores, image = evaluation.measure()
                run.log({f"{evaluation.name}/{name}": value for name, value in scores.items()})
                run.show(evaluation.image, image)


def make_optimizer(objective: nn.Module) -> torch.optim.AdamW:
    """AdamW (β 0.9 and 0.999, ε 1e-8) over all trainable parameters; matrices decay, biases and norms don't."""
    parameters = [(name, p) for name, p in objective.named_parameters() if p.requires_grad]
    matrices = [p for name, p in parameters if p.ndim > 1 and not name.endswith("bias")]
    others = [p for name, p in parameters if p.ndim <= 1 or name.endswith("bias")]
    return torch.optim.AdamW([{"params": matrices, "decays": True}, {"params": others, "decays": False}])


def _descend(
    run: Run, optimizer: torch.optim.Optimizer, recipe: Recipe, losses_of: nn.Module, batch: tuple[Any, ...]
) -> None:
    """One step of the optimizer; the losses are logged every :data:`LOG_EVERY` steps."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate.at(run.step, run.steps)
        group["weight_decay"] = recipe.weight_decay.at(run.step, run.steps) if group["decays"] else 0.0
    with run.compute.autocast():
        losses = losses_of(*batch)
    _check_finite(run, "loss", losses["loss"].detach())
    optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.max_gradient_norm or math.inf)
    _check_finite(run, "gradient", norm.full_tensor() if isinstance(norm, DTensor) else norm)
    optimizer.step()
    if run.step % LOG_EVERY == 0:
        scalars = {name: float(value.detach()) for name, value in losses.items()}
        scalars["learning_rate"] = optimizer.param_groups[0]["lr"]
        run.log({f"{run.stage}/{name}": value for name, value in scalars.items()})


def _check_finite(run: Run, what: str, value: torch.Tensor) -> None:
    if run.compute.any(not torch.isfinite(value)):
        raise UserError(
            f"Training diverged: the {what} of step {run.step} is {float(value)}. The last good checkpoint is in "
            f"{run.out / 'checkpoints'}; start again in a new folder with a lower --learning-rate."
        )
