"""The methods that V-JEPA 2 is compared with, by name, and how each is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vjepa_sim.envs.registry import Registry

if TYPE_CHECKING:
    from vjepa_sim.card import Card
    from vjepa_sim.data.mixture import Mixture
    from vjepa_sim.training.distributed import Compute

Report = Callable[..., None]
OnEncoded = Callable[[int, int], None]


class Trained(Protocol):
    """The result of a training."""

    @property
    def card(self) -> Card:
        """Card of the result, with its measurements."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training run of a baseline.

    Attributes:
        mixture: robot episodes.
        out: folder of the run.
        config: the method's configuration, see :class:`Training`.
        seed: random seed of the initial weights and of all draws.
        compute: this process's part of the work.
    """

    mixture: Mixture
    out: Path
    config: Any
    seed: int
    compute: Compute


@dataclass(frozen=True)
class Stage:
    """One of a training's runs, one after another.

    Attributes:
        title: title of its progress bar.
        learn: trains, or continues a stopped run. Its arguments are the job, a function to call with (step, steps,
            scalars), and one to call with the number of frames encoded so far and in all.
        encodes: whether it encodes the data before it trains.
    """

    title: str
    learn: Callable[[TrainingJob, Report, OnEncoded], Trained]
    encodes: bool = False


@dataclass(frozen=True)
class Training:
    """What a method trains, with its defaults.

    Attributes:
        config: steps, batch, learning rate and more; the command line's options replace some of it.
        image_size: height and width of the input in pixels.
        stages: the runs, in order; the last one returns the result.
    """

    config: Any
    image_size: int
    stages: tuple[Stage, ...]


@dataclass(frozen=True, kw_only=True)
class BaselineSpec:
    """A method to compare with.

    Attributes:
        name: name on the command line.
        about: short description for help texts.
        prepare: returns the training, given the checkpoint that it starts from; raises :class:`.UserError` if a package
            or the checkpoint is missing, before the data are read.
        starts: whether it starts from a checkpoint. Others ignore the one given to ``prepare``.
        eval_options: options of ``vjepa-sim eval`` by which the result is evaluated, besides ``--checkpoint``.
    """

    name: str
    about: str = ""
    prepare: Callable[[str], Training]
    starts: bool = False
    eval_options: tuple[str, ...] = ()


BASELINES: Registry[BaselineSpec] = Registry("method", BaselineSpec)


# --- methods of the project, each imported when it is trained ----------------------------------------


def _bc(start: str) -> Training:
    from vjepa_sim.baselines.cloning import CloningConfig, PolicyConfig, clone

    def learn(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> Trained:
        return clone(job.mixture, job.out, job.config, seed=job.seed, report=report, compute=job.compute)

    return Training(CloningConfig(), PolicyConfig().image_size, (Stage("training", learn),))


def _dino_wm(start: str) -> Training:
    from vjepa_sim.baselines.dino_wm import PRESET, learn_dino_wm
    from vjepa_sim.models.patch_features import check_installed
    from vjepa_sim.training.presets import PRESETS

    check_installed()
    preset = PRESETS[PRESET]

    def learn(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> Trained:
        return learn_dino_wm(
            job.mixture, job.out, job.config, seed=job.seed, report=report, compute=job.compute, on_encoded=on_encoded
        )

    return Training(preset.train, preset.encoder.image_size, (Stage("training", learn, encodes=True),))


def _lewm(start: str) -> Training:
    from vjepa_sim.baselines.lewm import LeWMConfig, learn_lewm
    from vjepa_sim.models.one_token import OneTokenConfig

    def learn(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> Trained:
        return learn_lewm(job.mixture, job.out, job.config, seed=job.seed, report=report, compute=job.compute)

    return Training(LeWMConfig(), OneTokenConfig().image_size, (Stage("training", learn),))


def _inverse(start: str) -> Training:
    from vjepa_sim.baselines.inverse import PRESET, learn_inverse, whole_model
    from vjepa_sim.training.presets import PRESETS

    image_size = whole_model(start).card.transform.size

    def learn(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> Trained:
        return learn_inverse(
            job.mixture,
            start,
            job.out,
            job.config,
            seed=job.seed,
            report=report,
            compute=job.compute,
            on_encoded=on_encoded,
        )

    return Training(PRESETS[PRESET].train, image_size, (Stage("training", learn, encodes=True),))


def _video(start: str) -> Training:
    from vjepa_sim.baselines.video import VideoConfig, learn_denoiser, learn_tokeniser
    from vjepa_sim.models.tokeniser import TokeniserConfig

    def folder(job: TrainingJob) -> Path:
        return job.out.with_name(f"{job.out.name}-tokeniser")

    def tokeniser(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> Trained:
        return learn_tokeniser(job.mixture, folder(job), job.config, seed=job.seed, report=report, compute=job.compute)

    def denoiser(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> Trained:
        return learn_denoiser(
            job.mixture,
            str(folder(job)),
            job.out,
            job.config,
            seed=job.seed,
            report=report,
            compute=job.compute,
            on_encoded=on_encoded,
        )

    stages = (Stage("tokeniser", tokeniser), Stage("denoiser", denoiser, encodes=True))
    return Training(VideoConfig(), TokeniserConfig().image_size, stages)


for _spec in (
    BaselineSpec(
        name="bc",
        about="behaviour cloning toward goal images, as Octo does it",
        prepare=_bc,
        eval_options=("--agent", "bc"),
    ),
    BaselineSpec(
        name="dino-wm",
        about="a predictor on frozen patch features",
        prepare=_dino_wm,
        eval_options=("--planner", "latent"),
    ),
    BaselineSpec(
        name="lewm",
        about="one token per image, trained end to end",
        prepare=_lewm,
        eval_options=("--planner", "latent"),
    ),
    BaselineSpec(
        name="inverse",
        about="the action between two images, a goal policy trained anew on the world model --start",
        prepare=_inverse,
        starts=True,
    ),
    BaselineSpec(
        name="video",
        about="a tokeniser and a denoiser that generate the next image; --steps sets the denoiser's steps, the "
        "tokeniser has a third of them",
        prepare=_video,
        eval_options=("--planner", "latent"),
    ),
):
    BASELINES.register(_spec)
