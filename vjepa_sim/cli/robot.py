"""What verbs that move a robot have in common."""

from __future__ import annotations

import sys
from typing import Any

from envs.errors import UserError


def robot_settings(
    backend: str, host: str | None, camera: str | None, gripper: str, gripper_address: str | None
) -> dict[str, Any]:
    """The settings of :func:`envs.make.make` for the robot itself.

    Raises:
        UserError: a real robot has no address or camera.
    """
    if backend == "loopback":
        return {"gripper": gripper, **({} if host is None else {"host": host})}
    if host is None or camera is None:
        raise UserError("A real robot needs --host ADDRESS and --camera DEVICE.")
    return {"host": host, "camera": camera, "gripper": gripper, "gripper_address": gripper_address}


def ask(question: str) -> bool:
    """A yes or a no from the person at the terminal.

    Raises:
        UserError: nobody is there.
    """
    if not sys.stdin.isatty():
        raise UserError(f"Nobody is there to answer: {question} A robot is moved from a terminal.")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
