"""``vjepa-sim compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Compare(Verb):
    """Compare runs: deployments on several backends, or evaluations of several agents on the same episodes.

    Attributes:
        folders: two or more folders of deploy or of eval; all are compared with the first.
        out: new folder for the report, its numbers and plots, or that of an earlier comparison of the same runs.
        scores: folders of score with the evaluated checkpoints, for rank correlations with success rates.
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    scores: tuple[Path, ...] = ()

    def run(self) -> int:
        from vjepa_sim.agents.comparison import REPORT_FILE, compare

        print(compare(self.out, list(self.folders), list(self.scores)).text)
        print(f"The report and its numbers are in {self.out}; begin with {self.out / REPORT_FILE}.")
        return 0
