"""What verbs that open a robot have in common."""

from __future__ import annotations

from typing import Any

from envs.errors import UserError


def robot_settings(
    backend: str, host: str | None, camera: str | None, gripper_address: str | None, driver: str
) -> dict[str, Any]:
    """The settings of :func:`envs.make.make_robot` that say where a robot is; simulated ones need none.

    Raises:
        UserError: a real robot has no address or camera.
    """
    if backend == "franka":
        if host is None or camera is None:
            raise UserError("A real robot needs --host ADDRESS and --camera DEVICE.")
        return {"host": host, "camera": camera, "gripper_address": gripper_address, "driver": driver}
    if backend == "loopback":
        return {"driver": driver, **({} if host is None else {"host": host})}
    return {}
