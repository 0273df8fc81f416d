"""``vjepa-sim collect``."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.agents.collection.config import CollectConfig
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Collect(Verb, CollectConfig):
    """Collect labelled episodes in DROID's raw format. A stopped run continues with the same command.

    Attributes:
        out: folder of the collection.
        workers: number of processes; 0 for one per core.
    """

    out: Path
    workers: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.collection.collect import collect

        config = self.configuration(CollectConfig)
        if self.workers < 0:
            raise UserError(f"--workers {self.workers}: give the number of processes, or 0 for one per core.")
        started = time.monotonic()
        with progress("collecting") as bar:
            result = collect(self.out, config, self.workers or os.cpu_count() or 1, bar)
        for name, count in sorted(result.behaviors.items()):
            print(f"{name}: {count} episodes, {result.successes[name]} successful")
        for note in config.notes:
            print(note)
        rate = result.frames / (time.monotonic() - started)
        print(f"{result.present} episodes are in {self.out} ({result.written} new, {rate:.0f} frames/s).")
        return 0
