"""What all verbs that learn have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from vjepa_sim.cli.options import set_threads
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.errors import UserError

# Times a model's image size that larger pictures are reduced to on reading: its own transform does the rest, and where
# it learns from random parts of them there is detail to spare.
SPARE_DETAIL = 2


@dataclass(frozen=True, kw_only=True)
class Learning(Verb):
    """Options of every training run.

    Attributes:
        data: what to learn from, FORMAT:PATH or FORMAT:PATH@WEIGHT, such as droid:PATH@0.5; may be given several times.
        out: the run's folder.
        period: seconds between two frames: a number, paper (0.25) or released (1.06, what Meta's recipe makes of
            DROID).
        camera: left, right, ext1, ext2, wrist, or a serial.
        steps: length of the run; that of the method or preset if not given.
        batch: clips per step, over all processes; likewise.
        learning_rate: at its peak; likewise.
        seed: of initial weights and draws.
        device: auto, cpu, cuda or cuda:NUMBER.
        precision: auto (bfloat16 where a GPU has it), float32 or bfloat16.
        threads: PyTorch's; 0 leaves the choice to it.
    """

    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    out: Path
    period: str = "paper"
    camera: str = "left"
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0

    def adjust(self, config):
        """A recipe with the options that were given."""
        from vjepa_sim.training.presets import shortened

        config = shortened(config, self.steps)
        if self.batch is not None:
            config = replace(config, batch=self.batch)
        if self.learning_rate is not None:
            if not 0 < self.learning_rate < math.inf:
                raise UserError(f"--learning-rate {self.learning_rate}: expected a number above 0, such as 0.001.")
            config = replace(config, learning_rate=config.learning_rate.scaled(self.learning_rate))
        return config

    def mixture(self, image_size: int, compute, bar, only_episodes: bool = False):
        """The data, for a model that sees pictures of this height and width in pixels."""
        from vjepa_sim.data.clips import parse_period
        from vjepa_sim.data.mixture import load_mixture, look_through

        if not self.data:
            raise UserError("--data is missing: say what to learn from, for example --data sim:episodes.")
        period = parse_period(self.period)
        if compute.ranks > 1:  # once for all processes
            if compute.is_main:
                look_through(self.data, bar)
            compute.wait()
        return load_mixture(self.data, bar, period, self.camera, SPARE_DETAIL * image_size, only_episodes)

    def computing(self, recompute: bool = False, shard: bool = False):
        """This process's part of the work, as a context."""
        from vjepa_sim.training.distributed import computing

        set_threads(self.threads)
        return computing(self.device, self.precision, recompute, shard)


def print_measured(card) -> None:
    """A checkpoint's scores."""
    for name, value in card.measured.items():
        if isinstance(value, float):
            print(f"{name}: {value:.4g}")
