"""Speed measurements of ``vjepa-sim bench``: the methods that are compared run in turn, and ratios are reported."""

from vjepa_sim.agents.bench.agents import bench_agents
from vjepa_sim.agents.bench.data import bench_data
from vjepa_sim.agents.bench.model import bench_model
from vjepa_sim.agents.bench.plan import bench_plan
from vjepa_sim.agents.bench.robot import bench_robot
from vjepa_sim.agents.bench.sim import bench_sim

__all__ = ["bench_agents", "bench_data", "bench_model", "bench_plan", "bench_robot", "bench_sim"]
