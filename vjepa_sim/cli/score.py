"""``vjepa-sim score``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.agents.evaluation.score_config import ScoreConfig
from vjepa_sim.cli.learning import SPARE_DETAIL
from vjepa_sim.cli.options import DataSets, set_threads
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Score(Verb, ScoreConfig):
    """Score a planner on recordings, without a robot: the motion that it plans between two images, compared with the
    recorded one.

    Prints the action score (0 to 80), direction and magnitude.

    Attributes:
        data: robot episodes, FORMAT:PATH or FORMAT:PATH@WEIGHT, such as droid:PATH; may be given several times.
        out: new folder for numbers and a plot, or that of an earlier score with the same settings.
        period: control period in seconds: a number, paper (0.25) or released (1.06); the model's if not given.
        camera: left, right, ext1, ext2, wrist, or a serial.
        device: device of the planner: auto, cpu, cuda or cuda:NUMBER.
        threads: number of PyTorch threads; 0 for PyTorch's default.
    """

    data: DataSets
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
        # Checked before the data are read, which takes long.
        config = self.configuration(ScoreConfig)
        check_output(self.out, CONFIG_FILE)
        device = find_device(self.device)
        model = load_world_model(self.checkpoint).to(device)
        agent, card = agent_for(model, config), model.card
        period = card.period if self.period is None and card.period else parse_period(self.period or "paper")
        with progress("reading episodes") as bar:
            mixture = load_mixture(
                self.data,
                bar,
                period=period,
                view=self.camera,
                short_side=SPARE_DETAIL * card.transform.size,
                only_episodes=True,
            )
        with progress("planning") as bar:
            report = score_actions(agent, mixture, out=self.out, config=config, on_clip=bar)
        print(
            f"action score {report['action_score']:.1f} (L1 error {100 * report['error_m']:.1f} cm; "
            f"{report['n_clips']} clips; without motion {report['still_score']:.1f})"
        )
        if report["direction"] is not None:
            print(f"direction {report['direction']:.2f}, magnitude {report['magnitude']:.2f}")
        if report["n_different"] < report["n_clips"]:
            print(f"Only {report['n_different']} of the clips are distinct, as there are few recordings.")
        if report["held_out_alone"]:
            print("The model was trained on these data: clips are of held-out episodes only.")
        if report["held_out_alone"] is None:
            print(f"The training data of checkpoint {self.checkpoint} are unknown: they may include these.")
        print(f"Numbers and plot are in {self.out}.")
        return 0
