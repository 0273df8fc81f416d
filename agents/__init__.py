"""Who acts: planners, agents, baselines, scoring."""

from agents.agent import AGENTS, Agent, load_agent

__all__ = ["AGENTS", "Agent", "load_agent"]
