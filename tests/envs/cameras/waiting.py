"""Waiting for what a camera's thread does."""

import time

from vjepa_sim.envs.faults import StaleCamera

DEADLINE = 20.0  # s: far more than anything here takes


def eventually(condition, deadline=DEADLINE):
    """The first truthy value of ``condition``."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.002)
    raise AssertionError("it never happened")


def stale(grabber):
    """The fault that ``latest`` raises now, or None."""
    try:
        grabber.latest()
    except StaleCamera as fault:
        return fault
    return None
