"""A robot without a robot: Franka's own network protocol on a loopback address, with a simulated arm behind it."""

from vjepa_sim.envs.loopback.server import LoopbackRobot

__all__ = ["LoopbackRobot"]
