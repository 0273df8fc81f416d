"""``vjepa-sim report``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import tyro

from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Report(Verb):
    """Plot the curves of a training run, finished or running.

    Attributes:
        run_folder: folder of pretrain, train or baseline; the plot is written to curves.png in it.
    """

    run_folder: tyro.conf.Positional[Path]

    def run(self) -> int:
        from vjepa_sim.agents.plotting.curves import draw_curves, read_metrics
        from vjepa_sim.data.files import write_image

        curves, seconds = read_metrics(self.run_folder)
        plot = self.run_folder / "curves.png"
        write_image(plot, draw_curves(curves))
        for name, curve in curves.items():
            step, value = curve[-1]
            print(f"{name}: {value:.4g} at step {step}")
        took = f" It took {timedelta(seconds=round(seconds))}." if seconds >= 1 else ""
        print(f"The curves are in {plot}.{took}")
        return 0
