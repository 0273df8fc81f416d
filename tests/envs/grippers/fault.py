"""A gripper's fault, waited for."""

from tests.envs.waiting import wait_for
from vjepa_sim.envs.faults import GripperFault


def fault_of(device):
    caught = []

    def faulty():
        try:
            device.check()
        except GripperFault as fault:
            caught.append(fault)
        return bool(caught)

    wait_for(faulty)
    return caught[0]
