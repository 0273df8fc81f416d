"""``vjepa-sim pretrain`` and ``vjepa-sim train``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from envs.errors import UserError, unknown_name
from vjepa_sim.cli.options import set_threads
from vjepa_sim.cli.progress import progress

SPARE_DETAIL = 2  # times the model's own image size are pictures kept at, at most


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What both stages' options have in common.

    Attributes:
        data: what to learn from, FORMAT:PATH or FORMAT:PATH@WEIGHT, such as droid:PATH@0.5; may be given several times.
        out: the run's folder.
        preset: sizes and schedule: tiny, small, base, large, huge, giant or giant-384.
        period: seconds between two frames: a number, paper (0.25) or released (1.06, what Meta's recipe makes of DROID).
        camera: left, right, ext1, ext2, wrist, or a serial.
        steps: length of the run; the preset's if not given.
        batch: clips per step, over all processes; the preset's if not given.
        learning_rate: at its peak; the preset's if not given.
        seed: of initial weights and draws.
        device: auto, cpu, cuda or cuda:NUMBER.
        precision: auto (bfloat16 where a GPU has it), float32 or bfloat16.
        recompute: gradient checkpointing: a fraction of the memory for a quarter more time.
        shard: split the encoder's weights over torchrun's processes (FSDP2).
        threads: PyTorch's; 0 leaves the choice to it.
    """

    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    out: Path
    preset: str = "tiny"
    period: str = "paper"
    camera: str = "left"
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    recompute: bool = False
    shard: bool = False
    threads: int = 0

    def _adjust(self, config):
        """A recipe with the options that were given."""
        from vjepa_sim.presets import shortened

        config = shortened(config, self.steps)
        if self.batch is not None:
            config = replace(config, batch=self.batch)
        if self.learning_rate is not None:
            config = replace(config, learning_rate=config.learning_rate.scaled(self.learning_rate))
        return config

    def _mixture(self, image_size: int, compute, bar, only_episodes: bool = False):
        """The data, with pictures about twice as large as what the model sees: random parts of them are looked at."""
        from data.clips import parse_period
        from data.mixture import load_mixture, look_through

        if not self.data:
            raise UserError("--data is missing: say what to learn from, for example --data sim:episodes.")
        period = parse_period(self.period)
        if compute.ranks > 1:  # once for all processes
            if compute.is_main:
                look_through(self.data, bar)
            compute.wait()
        return load_mixture(self.data, bar, period, self.camera, SPARE_DETAIL * image_size, only_episodes)

    def _compute(self):
        from vjepa_sim.compute import computing

        set_threads(self.threads)
        return computing(self.device, self.precision, self.recompute, self.shard)


@dataclass(frozen=True, kw_only=True)
class Pretrain(_Training):
    """Stage one: train a video encoder by mask-denoising. A stopped run continues with the same command.

    Data are robot episodes (droid:PATH, sim:, lerobot:, rlds:, robomimic:), videos (video:FOLDER) and pictures
    (images:FOLDER), each with a weight if you like. Several processes: torchrun --nproc-per-node N -m vjepa_sim.cli
    pretrain …

    Attributes:
        recipe: constant or abbreviated, V-JEPA 2's two schedules; the preset's own if not given.
        crop: square (the centre), or released (Meta's: the centre up to an aspect of 1.35, squashed).
        start: a checkpoint to begin with, such as a released one, instead of random weights: its encoder, and its mask
            predictor and decoders where it has them.
    """

    crop: str = "square"
    recipe: str | None = None
    start: str | None = None

    def run(self) -> int:
        from data.output import check_output
        from vjepa_sim.presets import get_preset, get_recipe
        from vjepa_sim.pretrain import pretrain
        from vjepa_sim.run import RUN_FILE
        from vjepa_sim.transform import CROPS

        if self.crop not in CROPS:
            raise unknown_name("crop", self.crop, CROPS)
        preset = get_preset(self.preset)
        recipe = preset.pretrain if self.recipe is None else get_recipe(self.recipe, self.preset)
        config = self._adjust(recipe)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        with self._compute() as compute:
            with progress("reading episodes") as bar:
                mixture = self._mixture(preset.encoder.image_size, compute, bar)
            with progress("pretraining") as bar:
                model = pretrain(
                    mixture, self.out, self.preset, config, self.seed, bar, compute, self.start, CROPS[self.crop]
                )
        if compute.is_main:
            _tell_branch(model)
            _print_measured(model)
            print(
                f"The encoder lies in {self.out}. "
                f"Next: vjepa-sim train --data FORMAT:EPISODES --encoder {self.out} --out FOLDER"
            )
        return 0


@dataclass(frozen=True, kw_only=True)
class Train(_Training):
    """Stage two: train the action-conditioned predictor on a frozen encoder. A stopped run continues likewise.

    Several processes: torchrun --nproc-per-node N -m vjepa_sim.cli train …

    Attributes:
        encoder: checkpoint of stage one: a folder, a bundled name, or a released .pt file.
        start: a whole model whose predictor and goal policy to begin with, instead of random weights.
        heads_only: leave that predictor as it is, and train decoders and goal policy alone, which takes minutes; --encoder
            is the same model.
        plan_every: try the planner in the simulator every so many steps, and log its success; 0 is never.
        plan_episodes: episodes of that trial, per task and object.
        first_release_rollout: repeat the mistake in the first released V-JEPA 2-AC's rollout loss.
    """

    encoder: str
    plan_every: int = 0
    plan_episodes: int = 4
    start: str | None = None
    heads_only: bool = False
    first_release_rollout: bool = False

    def run(self) -> int:
        from agents.trial import Trial
        from data.output import check_output
        from vjepa_sim.presets import get_preset
        from vjepa_sim.run import RUN_FILE
        from vjepa_sim.train import train
        from vjepa_sim.world_model import find_checkpoint, input_size

        if self.heads_only and self.start is None:
            raise UserError("--heads-only trains a whole model's decoders and goal policy: give it as --start, too.")
        if self.start is not None:
            find_checkpoint(self.start)
        config = self._adjust(get_preset(self.preset).train)
        config = replace(config, heads_only=self.heads_only, first_release_rollout=self.first_release_rollout)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        plan = Trial(self.plan_every, self.plan_episodes) if self.plan_every else None
        image_size = input_size(self.encoder)
        with self._compute() as compute:
            with progress("reading episodes") as bar:
                mixture = self._mixture(image_size, compute, bar, only_episodes=True)
            with progress("training", before="encoding") as bar:
                model = train(
                    mixture,
                    self.encoder,
                    self.out,
                    self.preset,
                    config,
                    self.seed,
                    bar,
                    bar.before,
                    compute,
                    plan,
                    self.start,
                )
        if compute.is_main:
            _tell_branch(model)
            _print_measured(model)
            print(
                f"The world model lies in {self.out}. "
                f"Next: vjepa-sim eval --checkpoint {self.out} --episodes 20 --seed 0 --out FOLDER"
            )
        return 0


def _print_measured(model) -> None:
    for name, value in model.card.measured.items():
        if isinstance(value, float):
            print(f"{name}: {value:.4g}")


def _tell_branch(model) -> None:
    """Which of a released file's two encoders was taken."""
    released = model.card.training.get("released") or model.card.training.get("start", {}).get("released")
    if released:
        print(f"Of {released['file']}, {released['branch']!r} was taken; `convert --branch` takes the other.")
