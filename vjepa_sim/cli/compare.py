"""``vjepa-sim compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Compare(Verb):
    """Show where runs differ: deployments on several rungs, or evaluations of several agents on the same episodes.

    Attributes:
        folders: two or more, of deploy or of eval; all are compared with the first.
        out: a new folder for the report, its numbers and pictures if it has any, or that of the same comparison before.
        scores: folders of score, of the checkpoints that were evaluated: how alike score and success rank them.
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    scores: tuple[Path, ...] = ()

    def run(self) -> int:
        from vjepa_sim.agents.comparison import REPORT_FILE, compare

        print(compare(self.out, list(self.folders), list(self.scores)).text)
        print(f"The report and its numbers lie in {self.out}; begin with {self.out / REPORT_FILE}.")
        return 0
