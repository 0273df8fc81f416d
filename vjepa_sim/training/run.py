"""The folder of a training run: configuration, logs and checkpoints. A run can be stopped at any time and resumed.

OUT/run.json                       configuration, versions, git commit
OUT/metrics.jsonl, OUT/tensorboard scalars and images
OUT/checkpoints/<step>/            card.json, model.safetensors, training_state.safetensors, training.json
OUT/checkpoints/last               link to the newest checkpoint
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from vjepa_sim.card import COMPUTE_SECONDS, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, CardedModule, write_checkpoint
from vjepa_sim.data.files import write_json, write_text
from vjepa_sim.data.interrupt import noted_interrupt
from vjepa_sim.envs.errors import UserError
from vjepa_sim.training.distributed import Compute
from vjepa_sim.weights import load_tensors, read_safetensors

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
STATE_FILE = "training_state.safetensors"
STEP_FILE = "training.json"
CHECKPOINT_SECONDS = 180
KEPT_CHECKPOINTS = 2

Report = Callable[[int, int, dict[str, float]], None]  # called with (step, steps, scalars)


class Run:
    """The folder of a training run and its steps; :func:`.fit` is the loop over them.

    All randomness of a step is drawn from (seed, step), so a resumed run equals one that was not stopped. Every process
    of a parallel run has a ``Run``; only the main process writes.

    Attributes:
        out: Folder of the run.
        stage: Name of the training on the card, and prefix of the losses in the log.
        steps: Number of steps.
        step: Current step, counted from 0.
        compute: This process's part of the work.
    """

    def __init__(self, out: Path, stage: str, steps: int, compute: Compute):
        """
        Args:
            out: Folder of the run, held by :meth:`.Compute.claimed` during the training.
            stage: Name of the training on the card, where the compute time is recorded as well.
            steps: Number of steps.
            compute: This process's part of the work.
        """
        self.out, self.stage, self.steps, self.compute = out, stage, steps, compute
        self.step = 0
        self._began = time.monotonic()
        self._earlier: dict[str, float] = {}
        self._writer: SummaryWriter | None = None
        self._optimizer_tensors: dict[str, torch.Tensor] = {}
        checkpoints = _checkpoints(out / "checkpoints")
        self._last = checkpoints[-1] if checkpoints else None

    @property
    def is_new(self) -> bool:
        """Whether there is no checkpoint to resume from."""
        return self._last is None

    def is_over(self, report: Report) -> bool:
        """Whether no step is left; if so, that is reported."""
        over = self.step >= self.steps
        if over and self.compute.is_main:
            report(self.step, self.steps, {})
        return over

    def restore(self, model: CardedModule, **others: nn.Module) -> None:
        """Load the weights of the newest checkpoint, if there is one. Call this before any module is sharded.

        Args:
            model: Model in training; its card is written into every checkpoint.
            others: Further modules that a resumed run needs, by name.

        Raises:
            UserError: The checkpoint is damaged.
        """
        self._model, self._modules = model, others
        if self._last is None:
            return
        try:
            weights = self._last / WEIGHTS_FILE
            load_tensors(model, read_safetensors(weights), weights)
            model.card = read_card(self._last / CARD_FILE, type(model.card))
            self._earlier = model.card.training.get(self.stage, {}).get(COMPUTE_SECONDS, {})
            tensors = read_safetensors(self._last / STATE_FILE)
            self.step = int(json.loads((self._last / STEP_FILE).read_text())["step"])
            for name, module in others.items():
                module.load_state_dict(_below(name, tensors))
            self._optimizer_tensors = _below("optimizer", tensors)
        except Exception as error:  # the remedy is the same for all
            raise UserError(
                f"{self._last}: the checkpoint can't be read ({error}). Delete this folder to resume from an earlier "
                "one."
            ) from error

    def attach(self, objective: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Load the optimizer's state from the newest checkpoint. Call this once all modules are sharded.

        Args:
            objective: Module that holds all trained parameters.
            optimizer: Optimizer of these parameters.
        """
        self._objective, self._optimizer = objective, optimizer
        if not self._optimizer_tensors:
            return
        options = StateDictOptions(full_state_dict=True)
        state = get_optimizer_state_dict(objective, optimizer, options=options)
        entries: dict[str, Any] = {}
        for key, value in self._optimizer_tensors.items():
            parameter, _, entry = key.rpartition(".")
            entries.setdefault(parameter, {})[entry] = value
        state["state"] = entries
        self._optimizer_tensors = {}
        set_optimizer_state_dict(objective, optimizer, state, options=options)

    def loop(self, report: Report) -> Iterator[int]:
        """Yield the steps that are left; write a checkpoint every few minutes, at the end, and when stopped.

        The first Ctrl-C stops between two steps, after a checkpoint; a second one stops at once, without a checkpoint.
        Nothing is saved after an error: the last checkpoint is the last good state.

        Args:
            report: Called with (step, steps, scalars) at the beginning, whenever scalars are logged, and at the end.
        """
        from torch.utils.tensorboard import SummaryWriter

        if self.is_over(report):
            return
        compute = self.compute
        if compute.is_main:
            self._forget_metrics()
            self._writer = SummaryWriter(str(self.out / "tensorboard"), purge_step=self.step)
        self._report = report if compute.is_main else lambda *_: None
        self._report(self.step, self.steps, {})
        saved_at = time.monotonic()
        with self._writer or nullcontext(), noted_interrupt() as interrupt:
            while self.step < self.steps:
                yield self.step
                self.step += 1
                stop = compute.any(interrupt.noted)
                due = compute.any(time.monotonic() - saved_at > CHECKPOINT_SECONDS)
                if stop or due or self.step == self.steps:
                    self.save()
                    saved_at = time.monotonic()
                if stop:
                    raise KeyboardInterrupt
        self._report(self.step, self.steps, {})

    def log(self, scalars: dict[str, float]) -> None:
        """Write scalars of the current step, and the time, to TensorBoard and metrics.jsonl."""
        if self._writer is None:
            return
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, self.step)
        with open(self.out / METRICS_FILE, "a") as file:
            file.write(json.dumps({"step": self.step, "time": round(time.time(), 1), **scalars}) + "\n")
        self._report(self.step, self.steps, scalars)

    def _forget_metrics(self) -> None:
        """Remove the lines that were logged after the newest checkpoint, and an unfinished line of a killed run."""
        path = self.out / METRICS_FILE
        if not path.exists():
            return
        whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        write_text(path, "".join(line for line in whole if json.loads(line)["step"] < self.step))

    def show(self, name: str, image: np.ndarray | None) -> None:
        """Write an image, uint8 [H, W, 3], to TensorBoard."""
        if self._writer is not None and image is not None:
            self._writer.add_image(name, image, self.step, dataformats="HWC")

    # --- checkpoints ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint, whole or not at all, link ``last`` to it, and remove the oldest."""
        from safetensors.torch import save_file

        options = StateDictOptions(full_state_dict=True, cpu_offload=self.compute.ranks > 1)
        weights = _tensors(get_model_state_dict(self._model, options=options))
        others = {
            f"{name}.{key}": value
            for name, module in self._modules.items()
            for key, value in _tensors(get_model_state_dict(module, options=options)).items()
        }
        optimizer_state = get_optimizer_state_dict(self._objective, self._optimizer, options=options)
        entries = cast("dict[str, dict[str, torch.Tensor]]", optimizer_state.get("state", {}))
        if self.compute.is_main:
            self._record_compute()
            others |= {f"optimizer.{name}.{key}": v for name, entry in entries.items() for key, v in entry.items()}
            folder = self.out / "checkpoints"
            folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=folder, prefix=".partial-"))
            os.chmod(partial, 0o755)
            write_checkpoint(partial, self._model.card, weights)
            save_file({name: value.detach().contiguous() for name, value in others.items()}, partial / STATE_FILE)
            write_json(partial / STEP_FILE, {"step": self.step})
            _put_in_place(folder, partial, f"{self.step:06d}")
        self.compute.wait()

    def _record_compute(self) -> None:
        """Write the compute time so far, of earlier sittings as well, on the card."""
        card, took = self._model.card, time.monotonic() - self._began
        spent = Counter(self._earlier) + Counter(self.compute.spent(took))
        seconds = {unit: round(value, 1) for unit, value in spent.items()}
        stage = {**card.training.get(self.stage, {}), COMPUTE_SECONDS: seconds}
        self._model.card = replace(card, training={**card.training, self.stage: stage})


def _tensors(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A module's state; PyTorch types the values more widely than they are."""
    return state


def _put_in_place(folder: Path, partial: Path, name: str) -> None:
    """Rename a finished checkpoint, link ``last`` to it, and remove what is obsolete."""
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
    for left_over in folder.glob(".partial-*"):  # from a run that was killed
        shutil.rmtree(left_over, ignore_errors=True)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}


def _checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, the newest last."""
    return sorted((path for path in folder.glob("*") if path.name.isdigit()), key=lambda path: int(path.name))
