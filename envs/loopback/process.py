"""The loopback robot's process: ``python -m vjepa_sim.envs.loopback.process FD HOST HAND JOINT1 ... JOINT7``."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vjepa_sim.envs.loopback.simulation import FaultyRobot, SimulatedArm

SWITCH_INTERVAL = 1e-4  # s; Python's default of 5 ms is too long for the threads of a 1 kHz robot
PARENT_CHECK = 0.5  # s


def main(arguments: list[str]) -> None:
    """Run a robot, and answer the parent process until that has ended."""
    descriptor, host, hand, *joints = arguments
    pipe, parent = Connection(int(descriptor)), os.getppid()
    logging.disable(logging.CRITICAL)  # a client that disconnects is no error
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        from vjepa_sim.envs.loopback.simulation import FaultyRobot, SimulatedArm

        arm = SimulatedArm(np.array(joints, float))
        robot = FaultyRobot(host, arm, hand == "hand")
        threading.Thread(target=_answer, args=(pipe, parent, robot, arm), daemon=True).start()
        robot.start()  # runs the physics in this thread and never returns
    except OSError as error:
        taken = error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
        pipe.send(OSError(f"{host}: {error.strerror}") if taken else error)
    except Exception as error:
        pipe.send(error)


def _answer(pipe: Connection, parent: int, robot: FaultyRobot, arm: SimulatedArm) -> None:
    answers = {
        "joints": lambda: arm.get_robot_state()["q"],
        "flange": arm.flange,
        "speed": lambda: float(np.abs(arm.get_robot_state()["dq"]).max()),
        "reflex": robot.reflex,
        "user_stop": robot.stop_by_user,
        "force": robot.push,
        "drop_tcp": robot.drop_tcp,
    }
    try:
        while not arm.running or (robot.gripper_server is not None and not robot.gripper_server.running):
            time.sleep(0.005)
        pipe.send(None)
        while True:
            # Processes that the parent forked may keep its end of the pipe open after it has ended.
            while not pipe.poll(PARENT_CHECK):
                if os.getppid() != parent:
                    os._exit(0)
            name, *arguments = pipe.recv()
            try:
                pipe.send(answers[name](*arguments))
            except Exception as error:
                pipe.send(error)
    except (EOFError, OSError):
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
