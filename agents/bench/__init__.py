"""Speed, as ratios of things timed in turn within one run: ``vjepa-sim bench``."""

from agents.bench.agents import bench_agents
from agents.bench.data import bench_data
from agents.bench.model import bench_model
from agents.bench.plan import bench_plan
from agents.bench.robot import bench_robot
from agents.bench.sim import bench_sim

__all__ = ["bench_agents", "bench_data", "bench_model", "bench_plan", "bench_robot", "bench_sim"]
