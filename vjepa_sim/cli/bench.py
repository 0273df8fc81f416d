"""``vjepa-sim bench``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from vjepa_sim.cli.options import refuse_unused, set_threads
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.errors import unknown_name
from vjepa_sim.envs.options import parse_names

# Options of each measurement besides --json.
OPTIONS = {
    "sim": (),
    "model": ("checkpoint", "preset", "threads"),
    "data": ("data",),
    "plan": ("checkpoint", "threads"),
    "agents": ("evaluations", "threads"),
    "robot": ("minutes",),
}


@dataclass(frozen=True, kw_only=True)
class Bench(Verb):
    """Measure speed. Compared methods run in turn, and ratios are reported.

    Attributes:
        what: sim (physics and rendering), model (parts of the world model, by size), data (reading clips), plan
            (searches, compared with V-JEPA 2-AC's), agents (decisions of evaluated agents), or robot (endurance test on
            the loopback robot).
        json: file for the numbers.
        checkpoint: checkpoint, for model and plan.
        preset: presets to measure besides the checkpoint, for model: names separated by commas, all, or none.
        data: data set such as sim:episodes, for data; a small one is made if not given.
        evaluations: two or more folders of eval, for agents.
        minutes: duration in minutes, for robot.
        threads: number of PyTorch threads, for model, plan and agents; 0 for PyTorch's default.
    """

    what: tyro.conf.Positional[str]
    json: Path | None = None
    checkpoint: str = "tiny"
    preset: str = "all"
    data: str | None = None
    evaluations: tuple[Path, ...] = ()
    minutes: float = 1.0
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.bench import bench_data, bench_plan, bench_sim
        from vjepa_sim.data.files import write_json
        from vjepa_sim.data.output import leaves
        from vjepa_sim.data.provenance import provenance

        benches = {
            "sim": bench_sim,
            "model": self._bench_model,
            "data": lambda: bench_data(self.data),
            "plan": lambda: bench_plan(self.checkpoint),
            "agents": self._bench_agents,
            "robot": self._bench_robot,
        }
        if self.what not in benches:
            raise unknown_name("bench", self.what, benches)
        others = tuple(name for each in OPTIONS.values() for name in each if name not in OPTIONS[self.what])
        refuse_unused(self, others, f"on bench {self.what}")
        set_threads(self.threads)
        print(f"Measuring {self.what}; other load on this machine would distort it.", file=sys.stderr)
        result = benches[self.what]()
        for name, value in leaves(result).items():
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
        if self.json:
            write_json(self.json, {"bench": self.what, **result, "provenance": provenance()})
        return 0

    def _bench_model(self) -> dict:
        from vjepa_sim.agents.bench import bench_model
        from vjepa_sim.training.presets import PUBLISHED

        sizes = parse_names(self.preset, tuple(PUBLISHED))
        with progress("models") as bar:
            return bench_model(self.checkpoint, sizes, bar)

    def _bench_agents(self) -> dict:
        from vjepa_sim.agents.bench import bench_agents

        with progress("decisions") as bar:
            return bench_agents(list(self.evaluations), bar)

    def _bench_robot(self) -> dict:
        from vjepa_sim.agents.bench import bench_robot

        with progress("seconds") as bar:
            return bench_robot(self.minutes, bar)
