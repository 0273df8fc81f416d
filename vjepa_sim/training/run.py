"""A training run's folder: configuration, logs, checkpoints; stopped at any time, resumed where it was.

OUT/run.json                       configuration, versions, git commit
OUT/metrics.jsonl, OUT/tensorboard scalars and pictures
OUT/checkpoints/<step>/            card.json, model.safetensors, training_state.safetensors, training.json
OUT/checkpoints/last               link to the newest
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor

from vjepa_sim.card import COMPUTE_SECONDS, Card, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, write_checkpoint
from vjepa_sim.data.files import write_json, write_text
from vjepa_sim.envs.errors import UserError
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.schedule import Schedule
from vjepa_sim.weights import load_tensors, read_safetensors

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
STATE_FILE = "training_state.safetensors"
STEP_FILE = "training.json"
CHECKPOINT_SECONDS = 180
KEPT_CHECKPOINTS = 2
LOG_EVERY = 20


class Trained(Protocol):
    """A module whose checkpoints have a card.

    Attributes:
        card: see :class:`.Card`.
    """

    card: Card

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All of its tensors, by name."""


class Recipe(Protocol):
    """What a run's configuration says of every step.

    Attributes:
        learning_rate, weight_decay: the optimiser's, over the run.
        max_gradient_norm: longer gradients are shortened to it; None leaves all as they are.
    """

    learning_rate: Schedule
    weight_decay: Schedule
    max_gradient_norm: float | None


class Run:
    """The loop around an optimiser. All randomness is drawn from (seed, step), so a resumed run repeats itself.

    Every process of a parallel run has one; only the main one writes.
    """

    def __init__(self, out: Path, stage: str, steps: int, compute: Compute):
        """
        Args:
            out: the run's folder; whoever begins to learn holds it by :func:`.claimed`.
            stage: what is trained, as the card's ``training`` calls it; the card is told there how many seconds it
                took.
            steps: length of the run.
            compute: this process's part.
        """
        self.out = out
        self._stage, self._began = stage, time.monotonic()
        self._earlier: dict[str, float] = {}
        self.steps = steps
        self.step = 0
        self._compute = compute
        self._stop = False
        checkpoints = _checkpoints(out / "checkpoints")
        self._last = checkpoints[-1] if checkpoints else None

    @property
    def is_new(self) -> bool:
        """Whether there is no checkpoint to go on from."""
        return self._last is None

    def is_over(self, report: Callable[[int, int, dict[str, float]], None]) -> bool:
        """Whether no step is left, which is reported then."""
        over = self.step >= self.steps
        if over and self._compute.is_main:
            report(self.step, self.steps, {})
        return over

    def restore(self, model: Trained, **others: nn.Module) -> None:
        """Load the newest checkpoint's weights, if there is one. Call this before the modules are split up.

        Args:
            model: what is trained; its card goes into every checkpoint.
            others: what else must be resumed, by name.
        """
        self._model, self._modules = model, others
        self._optimizer_tensors: dict[str, torch.Tensor] = {}
        if self._last is None:
            return
        try:
            weights = self._last / WEIGHTS_FILE
            load_tensors(model, read_safetensors(weights), weights)
            model.card = read_card(self._last / CARD_FILE, type(model.card))
            self._earlier = model.card.training.get(self._stage, {}).get(COMPUTE_SECONDS, {})
            tensors = read_safetensors(self._last / STATE_FILE)
            self.step = int(json.loads((self._last / STEP_FILE).read_text())["step"])
            for name, module in others.items():
                module.load_state_dict(_below(name, tensors))
            self._optimizer_tensors = _below("optimizer", tensors)
        except Exception as error:  # whatever is wrong with the files, the remedy is the same
            raise UserError(
                f"{self._last}: the checkpoint can't be read ({error}). Delete this folder to resume from an earlier "
                "one."
            ) from error

    def attach(self, objective: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Give the optimiser the state that it had; call this once the modules are split up.

        Args:
            objective: holds all trained parameters.
            optimizer: of these.
        """
        self._objective, self._optimizer = objective, optimizer
        if not self._optimizer_tensors:
            return
        options = StateDictOptions(full_state_dict=True)
        state = get_optimizer_state_dict(objective, optimizer, options=options)
        state["state"] = {}
        for key, value in self._optimizer_tensors.items():
            parameter, _, entry = key.rpartition(".")
            state["state"].setdefault(parameter, {})[entry] = value
        self._optimizer_tensors = {}
        set_optimizer_state_dict(objective, optimizer, state, options=options)

    def loop(self, report: Callable[[int, int, dict[str, float]], None]) -> Iterator[int]:
        """Yield the steps that are left; write checkpoints on the way, at the end, and when stopped.

        Ctrl-C is obeyed between two steps, so that what is saved is whole; a second one stops at once and saves
        nothing more. After an error nothing is saved: the last checkpoint is the last good state.

        Args:
            report: called with (step, steps, scalars) whenever there is something to show.
        """
        from torch.utils.tensorboard import SummaryWriter

        if self.is_over(report):
            return
        compute, self._writer = self._compute, None
        if compute.is_main:
            self._forget_metrics()
            self._writer = SummaryWriter(str(self.out / "tensorboard"), purge_step=self.step)
        self._report = report if compute.is_main else lambda *_: None
        self._report(self.step, self.steps, {})
        saved_at = time.monotonic()
        with self._writer or nullcontext(), self._polite_interrupts():
            while self.step < self.steps:
                yield self.step
                self.step += 1
                stop = compute.any(self._stop)
                due = compute.any(time.monotonic() - saved_at > CHECKPOINT_SECONDS)
                if stop or due or self.step == self.steps:
                    self.save()
                    saved_at = time.monotonic()
                if stop:
                    raise KeyboardInterrupt
        self._report(self.step, self.steps, {})

    @contextmanager
    def _polite_interrupts(self) -> Iterator[None]:
        """Turn the first Ctrl-C into a wish to stop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = signal.getsignal(signal.SIGINT)

        def wish(number, frame) -> None:
            self._stop = True
            signal.signal(signal.SIGINT, usual)

        signal.signal(signal.SIGINT, wish)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    def learn(self, recipe: Recipe, losses_of: Callable[..., dict[str, torch.Tensor]], *batch: Any) -> None:
        """Change the weights by one step of the optimiser, and tell the losses every so many steps.

        Args:
            recipe: of this step and all others.
            losses_of: makes a batch's losses; ``loss`` is descended on.
            batch: what it is called with.

        Raises:
            UserError: the loss or its gradient is not a number; the weights are as they were.
        """
        for group in self._optimizer.param_groups:  # biases and norms don't decay
            group["lr"] = recipe.learning_rate.at(self.step, self.steps)
            group["weight_decay"] = recipe.weight_decay.at(self.step, self.steps) if group["decays"] else 0.0
        with self._compute.autocast():
            losses = losses_of(*batch)
        self._descend(losses["loss"], recipe.max_gradient_norm)
        if self.step % LOG_EVERY == 0:
            scalars = {name: float(value.detach()) for name, value in losses.items()}
            scalars["learning_rate"] = self._optimizer.param_groups[0]["lr"]
            self.log({f"{self._stage}/{name}": value for name, value in scalars.items()})

    def _descend(self, loss: torch.Tensor, max_gradient_norm: float | None) -> None:
        self._check("loss", loss.detach())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_gradient_norm or math.inf)
        self._check("gradient", norm.full_tensor() if isinstance(norm, DTensor) else norm)
        self._optimizer.step()

    def _check(self, what: str, value: torch.Tensor) -> None:
        if self._compute.any(not torch.isfinite(value)):
            raise UserError(
                f"Training diverged: the {what} of step {self.step} is {float(value)}. The last good checkpoint is in "
                f"{self.out / 'checkpoints'}; start again in a new folder with a lower --learning-rate."
            )

    def log(self, scalars: dict[str, float]) -> None:
        """Write scalars of the present step, and the time, to TensorBoard and metrics.jsonl."""
        if self._writer is None:
            return
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, self.step)
        with open(self.out / METRICS_FILE, "a") as file:
            file.write(json.dumps({"step": self.step, "time": round(time.time(), 1), **scalars}) + "\n")
        self._report(self.step, self.steps, scalars)

    def _forget_metrics(self) -> None:
        """Drop what was logged after the newest checkpoint, and a line that a killed run left unfinished."""
        path = self.out / METRICS_FILE
        if not path.exists():
            return
        whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        write_text(path, "".join(line for line in whole if json.loads(line)["step"] < self.step))

    def show(self, title: str, picture: np.ndarray | None) -> None:
        """Write a picture, uint8 [H, W, 3], to TensorBoard."""
        if self._writer is not None and picture is not None:
            self._writer.add_image(title, picture, self.step, dataformats="HWC")

    def is_due(self, every: int) -> bool:
        """Whether what is done every so many steps, and at the end, is done after the present one."""
        return (self.step + 1) % every == 0 or self.step + 1 == self.steps

    # --- checkpoints ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint whole, point ``last`` at it, and remove the oldest."""
        from safetensors.torch import save_file

        options = StateDictOptions(full_state_dict=True, cpu_offload=self._compute.ranks > 1)
        weights = get_model_state_dict(self._model, options=options)
        others = {
            f"{name}.{key}": value
            for name, module in self._modules.items()
            for key, value in get_model_state_dict(module, options=options).items()
        }
        state = get_optimizer_state_dict(self._objective, self._optimizer, options=options).get("state", {})
        if self._compute.is_main:
            self._tell_compute()
            others |= {f"optimizer.{name}.{key}": v for name, entry in state.items() for key, v in entry.items()}
            folder = self.out / "checkpoints"
            folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=folder, prefix=".partial-"))
            os.chmod(partial, 0o755)
            write_checkpoint(partial, self._model.card, weights)
            save_file({name: value.detach().contiguous() for name, value in others.items()}, partial / STATE_FILE)
            write_json(partial / STEP_FILE, {"step": self.step})
            _put_in_place(folder, partial, f"{self.step:06d}")
        self._compute.wait()

    def _tell_compute(self) -> None:
        card, took = self._model.card, time.monotonic() - self._began
        spent = Counter(self._earlier) + Counter(self._compute.spent(took))
        told = {unit: round(seconds, 1) for unit, seconds in spent.items()}
        stage = {**card.training.get(self._stage, {}), COMPUTE_SECONDS: told}
        self._model.card = replace(card, training={**card.training, self._stage: stage})


def _put_in_place(folder: Path, partial: Path, name: str) -> None:
    """Rename a finished checkpoint, point ``last`` at it, and tidy up."""
    final = folder / name
    if final.exists():
        shutil.rmtree(final)
    os.replace(partial, final)
    link = folder / f".last-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(final.name)
    os.replace(link, folder / "last")
    for old in _checkpoints(folder)[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)
    for left_over in folder.glob(".partial-*"):  # of a run that was killed
        shutil.rmtree(left_over, ignore_errors=True)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}


def _checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, the newest last."""
    return sorted((path for path in folder.glob("*") if path.name.isdigit()), key=lambda path: int(path.name))


@torch.no_grad()
def follow(kept: nn.Module, learning: nn.Module, share: float) -> None:
    """Move weights towards those of a module of the same kind that learns; a share of what they were is kept."""
    for ours, theirs in zip(kept.parameters(), learning.parameters(), strict=True):
        ours.lerp_(theirs, 1 - share)


def make_optimizer(objective: nn.Module) -> torch.optim.AdamW:
    """AdamW (β 0.9 and 0.999, ε 1e-8) over what is trained; matrices decay, biases and norms don't."""
    parameters = [(name, p) for name, p in objective.named_parameters() if p.requires_grad]
    matrices = [p for name, p in parameters if p.ndim > 1 and not name.endswith("bias")]
    others = [p for name, p in parameters if p.ndim <= 1 or name.endswith("bias")]
    return torch.optim.AdamW([{"params": matrices, "decays": True}, {"params": others, "decays": False}])
