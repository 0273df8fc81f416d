"""Agents (planners and policies), and their evaluation, deployment, calibration and comparison."""

from vjepa_sim.agents.agent import Agent
from vjepa_sim.agents.registry import AGENTS, AgentSetup, AgentSpec, load_agent
from vjepa_sim.agents.rollout import Step, rollout

__all__ = ["AGENTS", "Agent", "AgentSetup", "AgentSpec", "Step", "load_agent", "rollout"]
