"""A term of the energy of one's own, and a planner that weighs it: long motions cost.

Try it::

    vjepa-sim eval --plugin examples/effort_term.py --planner thrifty --task reach --episodes 20 --out results
"""

from dataclasses import replace

import torch

from vjepa_sim.agents.planning.energy import ENERGY_TERMS, EnergyTerm, Imagined
from vjepa_sim.agents.planning.presets import PLANNERS, PlannerSpec


def effort(imagined: Imagined) -> torch.Tensor:
    """Mean length of the planned motions, in shares of the step limit: [N]."""
    searched = imagined.bound > 0
    return (imagined.actions[..., searched] / imagined.bound[searched]).norm(dim=-1).mean(1)


ENERGY_TERMS.register(EnergyTerm("effort", effort))

default = PLANNERS["default"].config
PLANNERS.register(
    PlannerSpec("thrifty", replace(default, energy={**default.energy, "effort": 0.05}), "the default, and effort costs")
)
