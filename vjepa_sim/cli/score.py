"""``vjepa-sim score``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from vjepa_sim.agents.evaluation.score_config import ScoreConfig
from vjepa_sim.cli.learning import SPARE_DETAIL
from vjepa_sim.cli.options import set_threads
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Score(Verb, ScoreConfig):
    """Score a planner on recordings, without robot or simulator: what it plans between two pictures, beside what was
    done.

    Prints the action score (0 to 80), direction and magnitude.

    Attributes:
        data: recorded episodes, FORMAT:PATH or FORMAT:PATH@WEIGHT, such as droid:PATH; may be given several times.
        out: a new folder for numbers and a picture, or that of the same score before.
        period: seconds of a step: a number, paper (0.25) or released (1.06); the model's own if not given.
        camera: left, right, ext1, ext2, wrist, or a serial.
        device: the planner's: auto, cpu, cuda or cuda:NUMBER.
        threads: PyTorch's; 0 leaves the choice to it.
    """

    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    out: Path
    period: str | None = None
    camera: str = "left"
    device: str = "auto"
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.evaluation.action_score import CONFIG_FILE, agent_for, score_actions
        from vjepa_sim.data.clips import parse_period
        from vjepa_sim.data.mixture import load_mixture
        from vjepa_sim.data.output import check_output
        from vjepa_sim.registry import load_world_model
        from vjepa_sim.training.distributed import find_device

        set_threads(self.threads)
        # Mistakes are told before the data are read, which takes long.
        config = self.configuration(ScoreConfig)
        check_output(self.out, CONFIG_FILE)
        device = find_device(self.device)
        model = load_world_model(self.checkpoint).to(device)
        agent, card = agent_for(model, config), model.card
        period = card.period if self.period is None and card.period else parse_period(self.period or "paper")
        with progress("reading episodes") as bar:
            mixture = load_mixture(
                self.data, bar, period, self.camera, SPARE_DETAIL * card.transform.size, only_episodes=True
            )
        with progress("planning") as bar:
            report = score_actions(agent, mixture, self.out, config, bar)
        print(
            f"action score {report['action_score']:.1f} (off by {100 * report['error_m']:.1f} cm over x, y and z; "
            f"{report['n_clips']} clips; standing still {report['still_score']:.1f})"
        )
        if report["direction"] is not None:
            print(f"direction {report['direction']:.2f}, magnitude {report['magnitude']:.2f}")
        if report["n_different"] < report["n_clips"]:
            print(f"Of the clips {report['n_different']} are different ones: there are few recordings.")
        if report["held_out_alone"]:
            print("The model learned from these data: clips are only of the episodes that were kept from it.")
        if report["held_out_alone"] is None:
            print(f"Checkpoint {self.checkpoint} doesn't tell what it learned from: it may have been these data.")
        print(f"Numbers and picture lie in {self.out}.")
        return 0
