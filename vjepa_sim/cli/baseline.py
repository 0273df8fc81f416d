"""``vjepa-sim baseline``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import tyro

from vjepa_sim.baselines.registry import BASELINES, Stage, Trained, TrainingJob
from vjepa_sim.cli.learning import Learning, print_measured
from vjepa_sim.cli.options import refuse_unused
from vjepa_sim.cli.progress import progress
from vjepa_sim.envs.options import OneOf, descriptions


def _methods() -> str:
    """Help text of the methods; tyro calls it when help is asked for."""
    return f"method to train. {descriptions(BASELINES)}"


@dataclass(frozen=True, kw_only=True)
class Baseline(Learning):
    """Train one of the methods that V-JEPA 2 is compared with. A stopped run continues with the same command.

    Data are robot episodes.

    Attributes:
        method: method to train.
        start: world model that the method starts from, for a method that starts from one.
    """

    method: Annotated[tyro.conf.Positional[str], OneOf(BASELINES), tyro.conf.arg(help=cast(str, _methods))]
    start: str = "tiny"

    def run(self) -> int:
        from vjepa_sim.data.output import check_output
        from vjepa_sim.training.run import RUN_FILE

        spec = BASELINES[self.method]
        if not spec.starts:
            refuse_unused(self, ("start",), f"for {self.method}, which starts from random weights")
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        training = spec.prepare(self.start)
        config = self.adjust(training.config)
        with self.computing() as compute:
            with progress("reading episodes") as bar:
                mixture = self.mixture(training.image_size, compute, bar, only_episodes=True)
            job = TrainingJob(mixture=mixture, out=self.out, config=config, seed=self.seed, compute=compute)
            *_, model = [_run(stage, job) for stage in training.stages]
        if compute.is_main:
            print_measured(model.card)
            print(f"The checkpoint is in {self.out}. Next: {next_command(self.method, self.out)}")
        return 0


def _run(stage: Stage, job: TrainingJob) -> Trained:
    with progress(stage.title, before="encoding" if stage.encodes else None) as bar:
        return stage.learn(job, bar, bar.before)


def next_command(method: str, out: Path) -> str:
    """The command that evaluates what a method trained."""
    options = (*BASELINES[method].eval_options, "--checkpoint", str(out))
    return f"vjepa-sim eval {' '.join(options)} --episodes 20 --seed 0 --out FOLDER"
