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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from data.provenance import write_json
from envs.errors import UserError
from vjepa_sim.card import CARD_FILE, read_card
from vjepa_sim.weights import load_tensors, read_safetensors
from vjepa_sim.world_model import WEIGHTS_FILE, WorldModel

RUN_FILE = "run.json"
CHECKPOINT_SECONDS = 180
KEPT_CHECKPOINTS = 2
LOG_EVERY = 20


class Run:
    """The loop around an optimiser. All randomness is drawn from (seed, step), so a resumed run repeats itself."""

    def __init__(self, out: Path, steps: int, model: WorldModel, optimizer: torch.optim.Optimizer, **others: nn.Module):
        """
        Args:
            out: the run's folder, held by :func:`data.output.claimed`.
            steps: length of the run.
            model: what is trained; its card goes into every checkpoint.
            optimizer: resumed with it.
            others: what else must be resumed, by name.
        """
        if steps < 1:
            raise UserError(f"steps={steps}: a run needs at least one step.")
        self.out = out
        self.steps = steps
        self.step = 0
        self._model, self._optimizer, self._modules = model, optimizer, others
        self._stop = False
        last = self._newest()
        if last is not None:
            self._load(last)

    def _newest(self) -> Path | None:
        whole = _checkpoints(self.out / "checkpoints")
        return whole[-1] if whole else None

    def loop(self, report: Callable[[int, int, dict[str, float]], None]) -> Iterator[int]:
        """Yield the steps that are left; write checkpoints on the way, at the end, and when stopped.

        Ctrl-C is obeyed between two steps, so that what is saved is whole; a second one stops at once and saves
        nothing more. After an error nothing is saved: the last checkpoint is the last good state.

        Args:
            report: called with (step, steps, scalars) whenever there is something to show.
        """
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.out / "tensorboard"))
        self._report = report
        report(self.step, self.steps, {})
        saved_at = time.monotonic()
        with self.writer, self._polite_interrupts():
            while self.step < self.steps:
                yield self.step
                self.step += 1
                if self._stop or self.step == self.steps or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                    self.save()
                    saved_at = time.monotonic()
                if self._stop:
                    raise KeyboardInterrupt

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

    def check(self, loss: torch.Tensor) -> None:
        """Stop before a loss that is not a number reaches the weights."""
        if not torch.isfinite(loss):
            raise UserError(
                f"Training diverged: the loss of step {self.step} is {float(loss.detach())}. The last good checkpoint is in "
                f"{self.out / 'checkpoints'}; start again in a new folder with a lower --learning-rate."
            )

    def log(self, scalars: dict[str, float]) -> None:
        """Write scalars of the present step to TensorBoard and metrics.jsonl."""
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, self.step)
        with open(self.out / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": self.step, **scalars}) + "\n")
        self._report(self.step, self.steps, scalars)

    def learning_rate(self, peak: float, warmup: int) -> float:
        """Linear warm-up, then a cosine to 1 % of the peak, for the present step; set in the optimiser."""
        rise = min(1.0, (self.step + 1) / warmup)
        phase = min(1.0, max(0.0, self.step - warmup) / max(1, self.steps - warmup))
        rate = peak * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * phase)))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        return rate

    # --- checkpoints ------------------------------------------------------------------------------------------

    def save(self) -> Path:
        """Write a checkpoint whole, point ``last`` at it, and remove the oldest."""
        from safetensors.torch import save_file

        folder = self.out / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder, prefix=".partial-"))
        os.chmod(partial, 0o755)
        self._model.save_pretrained(partial)
        tensors = {
            f"{name}.{key}": value.detach().contiguous()
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
        }
        state = self._optimizer.state_dict()
        for index, entry in state["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value.contiguous() for key, value in entry.items()}
        save_file(tensors, partial / "training_state.safetensors")
        write_json(partial / "training.json", {"step": self.step})
        final = folder / f"{self.step:06d}"
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
        return final

    def _load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        try:
            weights = folder / WEIGHTS_FILE
            load_tensors(self._model, read_safetensors(weights), weights)
            self._model.with_card(measured=read_card(folder / CARD_FILE).measured)
            tensors = load_file(folder / "training_state.safetensors")
            self.step = int(json.loads((folder / "training.json").read_text())["step"])
        except Exception as error:  # whatever is wrong with the file, the remedy is the same
            raise UserError(
                f"{folder}: the checkpoint can't be read ({error}). Delete this folder to resume from an earlier one."
            ) from error
        for name, module in self._modules.items():
            module.load_state_dict(
                {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(name + ".")}
            )
        state = self._optimizer.state_dict()
        for key, value in tensors.items():
            kind, _, rest = key.partition(".")
            if kind == "optimizer":
                index, _, entry = rest.partition(".")
                state["state"].setdefault(int(index), {})[entry] = value
        self._optimizer.load_state_dict(state)


def _checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, the newest last."""
    return sorted((path for path in folder.glob("*") if path.name.isdigit()), key=lambda path: int(path.name))


def make_optimizer(modules: list[nn.Module], learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases and norms alone."""
    parameters = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=learning_rate,
    )
