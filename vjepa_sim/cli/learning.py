"""Options of all verbs that train."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vjepa_sim.cli.options import DataSets, set_threads
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    from vjepa_sim.card import Card
    from vjepa_sim.data.mixture import Mixture
    from vjepa_sim.training.distributed import Compute
    from vjepa_sim.training.presets import AnyScheduled

# Larger images are reduced on reading to this multiple of the model's image size, so that random crops keep detail.
SPARE_DETAIL = 2


@dataclass(frozen=True, kw_only=True)
class Learning(Verb):
    """Options of every training run.

    Attributes:
        data: training data, FORMAT:PATH or FORMAT:PATH@WEIGHT, such as droid:PATH@0.5; may be given several times.
        out: folder of the run.
        period: seconds between two frames: a number, paper (0.25) or released (1.06, from Meta's training code on
            DROID).
        camera: left, right, ext1, ext2, wrist, or a serial.
        steps: number of training steps; that of the method or preset if not given.
        batch: clips per step, over all processes; that of the method or preset if not given.
        learning_rate: peak learning rate; that of the method or preset if not given.
        seed: random seed of initial weights and sampling.
        device: auto, cpu, cuda or cuda:NUMBER.
        precision: auto (bfloat16 on a GPU that supports it), float32 or bfloat16.
        threads: number of PyTorch threads; 0 for PyTorch's default.
    """

    data: DataSets
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

    def adjust(self, config: AnyScheduled) -> AnyScheduled:
        """Apply the options to a configuration.

        Args:
            config: configuration of a method or preset.

        Raises:
            UserError: an option is out of range.
        """
        from vjepa_sim.training.presets import shortened

        config = shortened(config, self.steps)
        if self.batch is not None:
            config = replace(config, batch=self.batch)
        if self.learning_rate is not None:
            if not 0 < self.learning_rate < math.inf:
                raise UserError(f"--learning-rate {self.learning_rate}: expected a number above 0, such as 0.001.")
            config = replace(config, learning_rate=config.learning_rate.scaled(self.learning_rate))
        return config

    def mixture(
        self, image_size: int, compute: Compute, bar: Callable[[int, int], None], only_episodes: bool = False
    ) -> Mixture:
        """Open the data.

        Args:
            image_size: height and width of the model's input in pixels.
            compute: this process's part of the work.
            bar: called with the number of episodes read so far and in all.
            only_episodes: whether to refuse videos and images.

        Raises:
            UserError: no data are given, or they can't be read.
        """
        from vjepa_sim.data.clips import parse_period
        from vjepa_sim.data.mixture import load_mixture, look_through

        if not self.data:
            raise UserError("--data is missing: give training data, for example --data sim:episodes.")
        period = parse_period(self.period)
        if compute.ranks > 1:  # indexed by one process only
            if compute.is_main:
                look_through(self.data, bar)
            compute.wait()
        return load_mixture(
            self.data,
            bar,
            period=period,
            view=self.camera,
            short_side=SPARE_DETAIL * image_size,
            only_episodes=only_episodes,
        )

    def computing(self, recompute: bool = False, shard: bool = False) -> AbstractContextManager[Compute]:
        """Set up device, precision and processes.

        Args:
            recompute: gradient checkpointing.
            shard: split the encoder's weights over the processes.

        Returns:
            Context of this process's part of the work.
        """
        from vjepa_sim.training.distributed import computing

        set_threads(self.threads)
        return computing(self.device, self.precision, recompute, shard)


def print_measured(card: Card) -> None:
    """Print the measurements of a checkpoint."""
    for name, value in card.measured.items():
        if isinstance(value, float):
            print(f"{name}: {value:.4g}")
