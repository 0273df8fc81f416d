"""Policies, reference policies, and the world models that stand in for the project's own: Cosmos, the simulator."""
