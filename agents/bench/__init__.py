"""Speed, as ratios of things timed in turn within one run: ``vjepa-sim bench``."""

from collections.abc import Callable

from agents.bench.data import bench_data
from agents.bench.model import bench_model
from agents.bench.plan import bench_plan
from agents.bench.sim import bench_sim

BENCHES: dict[str, Callable[..., dict]] = {
    "sim": bench_sim,
    "model": bench_model,
    "data": bench_data,
    "plan": bench_plan,
}
