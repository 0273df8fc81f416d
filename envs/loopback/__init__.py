"""A simulated robot on a loopback address that speaks Franka's own network protocol."""

from vjepa_sim.envs.loopback.server import LoopbackRobot

__all__ = ["LoopbackRobot"]
