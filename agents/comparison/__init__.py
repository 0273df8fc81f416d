"""Runs side by side: deployments on several rungs, evaluations of several agents, and what recordings could have told
of them.
"""

from vjepa_sim.agents.comparison.compare import REPORT_FILE, compare

__all__ = ["REPORT_FILE", "compare"]
