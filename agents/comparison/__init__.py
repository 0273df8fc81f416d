"""Comparison of runs: deployments on several backends, evaluations of several agents, and the ranking of checkpoints by
their action scores.
"""

from vjepa_sim.agents.comparison.compare import REPORT_FILE, compare

__all__ = ["REPORT_FILE", "compare"]
