"""``vjepa-sim pretrain`` and ``vjepa-sim train``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from vjepa_sim.cli.learning import Learning, print_measured
from vjepa_sim.cli.progress import progress
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.options import OneOf

if TYPE_CHECKING:
    from vjepa_sim.card import Card


@dataclass(frozen=True, kw_only=True)
class _Stage(Learning):
    """Options of both stages.

    Attributes:
        preset: sizes and schedule.
        recompute: gradient checkpointing, which saves memory and takes about a quarter more time.
        shard: split the encoder's weights over torchrun's processes (FSDP2).
    """

    preset: Annotated[str, OneOf("vjepa_sim.training.presets:PRESETS")] = "tiny"
    recompute: bool = False
    shard: bool = False


@dataclass(frozen=True, kw_only=True)
class Pretrain(_Stage):
    """Stage one: train a video encoder by mask-denoising. A stopped run continues with the same command.

    Data are robot episodes, videos (video:FOLDER) and images (images:FOLDER). Several processes: torchrun
    --nproc-per-node N -m vjepa_sim.cli pretrain …

    Attributes:
        recipe: schedule of V-JEPA 2; the preset's if not given.
        crop: square (center crop), or released (Meta's: center crop to an aspect ratio of at most 1.35, resized).
        start: checkpoint to initialise from, such as a released one: its encoder, and its mask predictor and decoders
            if it has them; random weights if not given.
    """

    crop: str = "square"
    recipe: Annotated[str | None, OneOf("vjepa_sim.training.presets:RECIPES")] = None
    start: str | None = None

    def run(self) -> int:
        from vjepa_sim.data.output import check_output
        from vjepa_sim.training.presets import PRESETS, get_recipe
        from vjepa_sim.training.pretrain import pretrain
        from vjepa_sim.training.run import RUN_FILE
        from vjepa_sim.transform import CROPS

        if self.crop not in CROPS:
            raise unknown_name("crop", self.crop, CROPS)
        preset = PRESETS[self.preset]
        if preset.pretrain is None:
            raise UserError(f"--preset {self.preset} has no stage one: its encoder is pretrained.")
        recipe = preset.pretrain if self.recipe is None else get_recipe(self.recipe, self.preset)
        config = self.adjust(recipe)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        with self.computing(self.recompute, self.shard) as compute:
            with progress("reading episodes") as bar:
                mixture = self.mixture(preset.encoder.image_size, compute, bar)
            with progress("pretraining") as bar:
                model = pretrain(
                    mixture,
                    self.out,
                    self.preset,
                    config,
                    seed=self.seed,
                    report=bar,
                    compute=compute,
                    start=self.start,
                    max_aspect=CROPS[self.crop],
                )
        if compute.is_main:
            _print_branch(model.card)
            print_measured(model.card)
            print(
                f"The encoder is in {self.out}. Next: vjepa-sim train --data FORMAT:EPISODES --encoder {self.out} "
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
        start: world model whose predictor and goal policy to initialise from; random weights if not given.
        heads_only: train only the decoders and the goal policy of that model, which takes minutes; --encoder is the
            same model.
        plan_every: steps between two evaluations of the planner in the simulator, which are logged; 0 for none.
        plan_episodes: episodes per task and object in these evaluations.
        first_release_rollout: reproduce the mistake in the rollout loss of the first V-JEPA 2-AC release.
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
        from vjepa_sim.training.presets import PRESETS
        from vjepa_sim.training.run import RUN_FILE
        from vjepa_sim.training.train import train
        from vjepa_sim.world_model import input_size

        if self.heads_only and self.start is None:
            raise UserError(
                "--heads-only trains decoders and goal policy of a world model: give the model as --start too."
            )
        if self.start is not None:
            find_checkpoint(self.start)
        config = self.adjust(PRESETS[self.preset].train)
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
                    preset_name=self.preset,
                    config=config,
                    seed=self.seed,
                    report=bar,
                    on_encoded=bar.before,
                    compute=compute,
                    plan=plan,
                    start=self.start,
                )
        if compute.is_main:
            _print_branch(model.card)
            if model.goal_policy is None and PRESETS[self.preset].goal_policy is not None:
                print(
                    "The model has no goal policy, as decoders or commands in the data are missing: planners search "
                    "without its proposals."
                )
            print_measured(model.card)
            print(
                f"The world model is in {self.out}. Next: vjepa-sim eval --checkpoint {self.out} --episodes 20 "
                "--seed 0 --out FOLDER"
            )
        return 0


def _print_branch(card: Card) -> None:
    """Print which of a released file's two encoders was loaded."""
    from vjepa_sim.card import ENCODER_BEGUN_WITH

    training = card.training
    released = training.get("released") or training.get(ENCODER_BEGUN_WITH, {}).get("released")
    if released:
        print(f"Loaded {released['branch']!r} of {released['file']}; `convert --branch` chooses the other.")
