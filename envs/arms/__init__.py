"""Arms: specifications for the simulator, by name."""

from vjepa_sim.envs.arms.arm_spec import ARMS, ArmSpec
from vjepa_sim.envs.arms.panda import PANDA

__all__ = ["ARMS", "PANDA", "ArmSpec"]
