"""Who acts: planners, policies, and what is done with them."""

from vjepa_sim.agents.agent import Agent
from vjepa_sim.agents.registry import AGENTS, AgentSetup, AgentSpec, load_agent
from vjepa_sim.agents.rollout import Step, rollout

__all__ = ["AGENTS", "Agent", "AgentSetup", "AgentSpec", "Step", "load_agent", "rollout"]
