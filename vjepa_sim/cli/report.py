"""``vjepa-sim report``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import tyro

from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Report(Verb):
    """Draw the curves of a training run, also of one that still runs.

    Attributes:
        run_folder: of pretrain, train or baseline; the picture, curves.png, is put there.
    """

    run_folder: tyro.conf.Positional[Path]

    def run(self) -> int:
        from vjepa_sim.agents.plotting.curves import draw_curves, read_metrics
        from vjepa_sim.data.files import write_image

        curves, seconds = read_metrics(self.run_folder)
        picture = self.run_folder / "curves.png"
        write_image(picture, draw_curves(curves))
        for name, curve in curves.items():
            step, value = curve[-1]
            print(f"{name}: {value:.4g} at step {step}")
        took = f" It took {timedelta(seconds=round(seconds))}." if seconds >= 1 else ""
        print(f"The curves lie in {picture}.{took}")
        return 0
