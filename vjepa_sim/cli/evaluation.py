"""``vjepa-sim eval``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.cli.options import set_threads
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Eval(Verb, EvaluationConfig):
    """Evaluate an agent and the reference policies on the same held-out episodes. A stopped run continues with the same
    command.

    Attributes:
        out: new folder for table.md, episodes.csv, eval_info.json and videos, or that of a stopped run.
        threads: number of PyTorch threads; 0 for PyTorch's default.
    """

    out: Path
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.evaluation.evaluate import evaluate
        from vjepa_sim.agents.evaluation.statistics import markdown_table

        config = self.configuration(EvaluationConfig)
        set_threads(self.threads)
        total = config.episodes * sum(len(config.agents_for(task)) for task, _ in config.pairs)
        done = 0
        with progress("episodes") as bar:

            def on_episode(agent: str, task: str, name: str) -> None:
                nonlocal done
                done += 1
                bar(done, total, note=f"{agent} {task} {name}")

            bar(0, total)
            info = evaluate(self.out, config, on_episode)
        print(markdown_table(info["cells"]), end="")
        for note in config.notes:
            print(f"\n{note}")
        print(f"\nTable, numbers and videos are in {self.out}.")
        return 0
