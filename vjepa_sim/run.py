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
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.provenance import provenance, write_json
from envs.errors import UserError
from vjepa_sim.world_model import WorldModel, load_weights

CHECKPOINT_SECONDS = 180
KEPT_CHECKPOINTS = 2
LOG_EVERY = 20


class Run:
    """The loop around an optimiser. All randomness is drawn from (seed, step), so a resumed run repeats itself."""

    def __init__(self, out: Path, config: dict[str, Any], steps: int):
        self.out = out
        self.steps = steps
        self.config = json.loads(json.dumps(config))
        self.step = 0
        self._modules: dict[str, nn.Module] = {}
        self._optimizer: torch.optim.Optimizer | None = None
        self._model: WorldModel | None = None
        self._claim()

    def _claim(self) -> None:
        path = self.out / "run.json"
        if path.exists():
            try:
                theirs = json.loads(path.read_text())["config"]
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path} is damaged ({error!r}). Give another --out, or delete this folder.") from error
            different = [key for key in self.config if theirs.get(key) != self.config[key]]
            if different:
                lines = "; ".join(f"{key} was {theirs.get(key)!r}, now {self.config[key]!r}" for key in different)
                raise UserError(
                    f"{self.out} holds a run with other settings: {lines}. Use the same ones, or another --out."
                )
        elif self.out.exists() and any(self.out.iterdir()):
            raise UserError(f"{self.out} is not empty and holds no run.json. Give a new folder as --out.")
        write_json(path, {"config": self.config, "provenance": provenance()})

    def manage(self, model: WorldModel, optimizer: torch.optim.Optimizer, **others: nn.Module) -> None:
        """Tell what belongs to a checkpoint, and go back to the last one if there is one."""
        self._model, self._optimizer, self._modules = model, optimizer, others
        last = self.out / "checkpoints" / "last"
        if last.exists():
            self._load(last)

    def loop(self, report: Any) -> Iterator[int]:
        """Yield the steps that are left; write checkpoints on the way, at the end, and when stopped.

        ``report`` is called with (step, steps, scalars) whenever there is something to show.
        """
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.out / "tensorboard"))
        self._report = report
        report(self.step, self.steps, {})
        saved_at, saved_step = time.monotonic(), self.step
        try:
            while self.step < self.steps:
                yield self.step
                self.step += 1
                if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                    self.save()
                    saved_at, saved_step = time.monotonic(), self.step
        finally:
            if self.step > saved_step:
                self.save()
            self.writer.close()

    def log(self, scalars: dict[str, float]) -> None:
        """Write scalars of the present step to TensorBoard and metrics.jsonl."""
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, self.step)
        with open(self.out / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": self.step, **scalars}) + "\n")
        bad = [name for name, value in scalars.items() if not math.isfinite(value)]
        if bad:
            raise UserError(
                f"Training diverged at step {self.step}: {', '.join(bad)} is not finite. The last checkpoint is in "
                f"{self.out / 'checkpoints'}; lower --learning-rate and start again."
            )
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
        for old in sorted(path for path in folder.iterdir() if path.name.isdigit())[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)
        for left_over in folder.glob(".partial-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        return final

    def _load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        load_weights(self._model, folder / "model.safetensors")
        try:
            tensors = load_file(folder / "training_state.safetensors")
            self.step = int(json.loads((folder / "training.json").read_text())["step"])
        except Exception as error:  # whatever is wrong with the file, the remedy is the same
            raise UserError(
                f"{folder}: the training state can't be read ({error}). Delete this checkpoint to resume from an earlier one."
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
