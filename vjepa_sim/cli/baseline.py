"""``vjepa-sim baseline``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from vjepa_sim.cli.learning import Learning, print_measured
from vjepa_sim.cli.options import refuse_unused
from vjepa_sim.cli.progress import progress
from vjepa_sim.envs.errors import unknown_name

# By what eval acts with what each method learns.
ACTING = {
    "bc": "--agent bc ",
    "dino-wm": "--planner latent ",
    "lewm": "--planner latent ",
    "inverse": "",
    "video": "--planner latent ",
}


@dataclass(frozen=True, kw_only=True)
class Baseline(Learning):
    """Train one of the others that V-JEPA 2's way is compared with. A stopped run continues with the same command.

    Data are robot episodes: droid:PATH, sim:, lerobot:, rlds: or robomimic:, each with a weight if you like.

    Attributes:
        start: for inverse: the whole model that it begins with, whose goal policy alone is forgotten.
        method: bc (behaviour cloning toward goal images, Octo's way; 4000 steps), dino-wm (a predictor on frozen
            features of patches; 1600), lewm (one token a picture, learned end to end; 3000), inverse (the action
            between two pictures; 1600), or video (a tokeniser and a denoiser that generate the next picture; 4000 and
            12000: --steps is the denoiser's, the tokeniser has a third).
    """

    method: tyro.conf.Positional[str]
    start: str = "tiny"

    def run(self) -> int:
        from vjepa_sim.data.output import check_output
        from vjepa_sim.training.run import RUN_FILE

        methods = {
            "bc": self._bc,
            "dino-wm": self._dino_wm,
            "lewm": self._lewm,
            "inverse": self._inverse,
            "video": self._video,
        }
        if self.method not in methods:
            raise unknown_name("method", self.method, methods)
        if self.method != "inverse":
            refuse_unused(self, ("start",), f"for {self.method}, which begins with nothing")
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        image_size, learn = methods[self.method]()
        with self.computing() as compute:
            with progress("reading episodes") as bar:
                mixture = self.mixture(image_size, compute, bar, only_episodes=True)
            model = learn(mixture, compute)
        if compute.is_main:
            print_measured(model.card)
            print(f"What was learned lies in {self.out}. Next: {next_command(self.method, self.out)}")
        return 0

    # Each: the pictures' size in pixels, and what learns; mistakes are told at once.

    def _bc(self) -> tuple[int, Callable[..., Any]]:
        from vjepa_sim.baselines.cloning import CloningConfig, PolicyConfig, clone

        config = self.adjust(CloningConfig())

        def learn(mixture, compute):
            with progress("training") as bar:
                return clone(mixture, self.out, config, self.seed, bar, compute)

        return PolicyConfig().image_size, learn

    def _dino_wm(self) -> tuple[int, Callable[..., Any]]:
        from vjepa_sim.baselines.dino_wm import PRESET, learn_dino_wm
        from vjepa_sim.baselines.patch_features import check_installed
        from vjepa_sim.training.presets import get_preset

        check_installed()
        preset = get_preset(PRESET)
        config = self.adjust(preset.train)

        def learn(mixture, compute):
            with progress("training", before="encoding") as bar:
                return learn_dino_wm(mixture, self.out, config, self.seed, bar, compute, bar.before)

        return preset.encoder.image_size, learn

    def _lewm(self) -> tuple[int, Callable[..., Any]]:
        from vjepa_sim.baselines.lewm import LeWMConfig, learn_lewm
        from vjepa_sim.baselines.one_token import OneTokenConfig

        config = self.adjust(LeWMConfig())

        def learn(mixture, compute):
            with progress("training") as bar:
                return learn_lewm(mixture, self.out, config, self.seed, bar, compute)

        return OneTokenConfig().image_size, learn

    def _inverse(self) -> tuple[int, Callable[..., Any]]:
        from vjepa_sim.baselines.inverse import PRESET, learn_inverse, whole_model
        from vjepa_sim.training.presets import get_preset

        image_size = whole_model(self.start).card.transform.size
        config = self.adjust(get_preset(PRESET).train)

        def learn(mixture, compute):
            with progress("training", before="encoding") as bar:
                return learn_inverse(mixture, self.start, self.out, config, self.seed, bar, compute, bar.before)

        return image_size, learn

    def _video(self) -> tuple[int, Callable[..., Any]]:
        from vjepa_sim.baselines.tokeniser import TokeniserConfig
        from vjepa_sim.baselines.video import VideoConfig, learn_denoiser, learn_tokeniser

        config = self.adjust(VideoConfig())
        folder = self.out.with_name(f"{self.out.name}-tokeniser")

        def learn(mixture, compute):
            with progress("tokeniser") as bar:
                learn_tokeniser(mixture, folder, config, self.seed, bar, compute)
            with progress("denoiser", before="encoding") as bar:
                return learn_denoiser(mixture, str(folder), self.out, config, self.seed, bar, compute, bar.before)

        return TokeniserConfig().image_size, learn


def next_command(method: str, out: Path) -> str:
    """What to do with what was learned."""
    return f"vjepa-sim eval {ACTING[method]}--checkpoint {out} --episodes 20 --seed 0 --out FOLDER"
