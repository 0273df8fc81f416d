"""``vjepa-sim pretrain`` and ``vjepa-sim train``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vjepa_sim.cli.learning import Learning, print_measured
from vjepa_sim.cli.progress import progress
from vjepa_sim.envs.errors import UserError, unknown_name


@dataclass(frozen=True, kw_only=True)
class _Stage(Learning):
    """What both stages' options have in common.

    Attributes:
        preset: sizes and schedule: tiny, small, base, large, huge, giant or giant-384.
        recompute: gradient checkpointing: a fraction of the memory for a quarter more time.
        shard: split the encoder's weights over torchrun's processes (FSDP2).
    """

    preset: str = "tiny"
    recompute: bool = False
    shard: bool = False


@dataclass(frozen=True, kw_only=True)
class Pretrain(_Stage):
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
        from vjepa_sim.data.output import check_output
        from vjepa_sim.training.presets import get_preset, get_recipe
        from vjepa_sim.training.pretrain import pretrain
        from vjepa_sim.training.run import RUN_FILE
        from vjepa_sim.transform import CROPS

        if self.crop not in CROPS:
            raise unknown_name("crop", self.crop, CROPS)
        preset = get_preset(self.preset)
        if preset.pretrain is None:
            raise UserError(f"--preset {self.preset}: others trained its encoder; there is no stage one.")
        recipe = preset.pretrain if self.recipe is None else get_recipe(self.recipe, self.preset)
        config = self.adjust(recipe)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        with self.computing(self.recompute, self.shard) as compute:
            with progress("reading episodes") as bar:
                mixture = self.mixture(preset.encoder.image_size, compute, bar)
            with progress("pretraining") as bar:
                model = pretrain(
                    mixture, self.out, self.preset, config, self.seed, bar, compute, self.start, CROPS[self.crop]
                )
        if compute.is_main:
            _tell_branch(model)
            print_measured(model.card)
            print(
                f"The encoder lies in {self.out}. Next: vjepa-sim train --data FORMAT:EPISODES --encoder {self.out} "
                "--out FOLDER"
            )
        return 0


@dataclass(frozen=True, kw_only=True)
class Train(_Stage):
    """Stage two: train the action-conditioned predictor on a frozen encoder. A stopped run continues with the same
    command.

    Several processes: torchrun --nproc-per-node N -m vjepa_sim.cli train …

    Attributes:
        encoder: checkpoint of stage one: a folder, a bundled name, or a released .pt file.
        start: a whole model whose predictor and goal policy to begin with, instead of random weights.
        heads_only: leave that predictor as it is, and train decoders and goal policy alone, which takes minutes;
            --encoder is the same model.
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
        from vjepa_sim.agents.evaluation.in_training import Trial
        from vjepa_sim.checkpoint import find_checkpoint
        from vjepa_sim.data.output import check_output
        from vjepa_sim.training.presets import get_preset
        from vjepa_sim.training.run import RUN_FILE
        from vjepa_sim.training.train import train
        from vjepa_sim.world_model import input_size

        if self.heads_only and self.start is None:
            raise UserError("--heads-only trains a whole model's decoders and goal policy: give it as --start, too.")
        if self.start is not None:
            find_checkpoint(self.start)
        config = self.adjust(get_preset(self.preset).train)
        config = replace(config, heads_only=self.heads_only, first_release_rollout=self.first_release_rollout)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        plan = Trial(self.plan_every, self.plan_episodes) if self.plan_every else None
        image_size = input_size(self.encoder)
        with self.computing(self.recompute, self.shard) as compute:
            with progress("reading episodes") as bar:
                mixture = self.mixture(image_size, compute, bar, only_episodes=True)
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
            if model.goal_policy is None and get_preset(self.preset).goal_policy is not None:
                print(
                    "There is no goal policy, for want of decoders or of data that tell where the arm was sent: "
                    "planners search unguided."
                )
            print_measured(model.card)
            print(
                f"The world model lies in {self.out}. Next: vjepa-sim eval --checkpoint {self.out} --episodes 20 "
                "--seed 0 --out FOLDER"
            )
        return 0


def _tell_branch(model) -> None:
    """Which of a released file's two encoders was taken."""
    from vjepa_sim.card import ENCODER_BEGUN_WITH

    training = model.card.training
    released = training.get("released") or training.get(ENCODER_BEGUN_WITH, {}).get("released")
    if released:
        print(f"Of {released['file']}, {released['branch']!r} was taken; `convert --branch` takes the other.")
