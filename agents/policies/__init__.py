"""Agents that act without a planner, and the upper bounds that are given the simulator."""
