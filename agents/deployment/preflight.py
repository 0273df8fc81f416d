"""Checks of robot, camera, goals and model before anything moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.card import Card
from vjepa_sim.envs.cameras.image_check import image_fault, reduced_grey
from vjepa_sim.envs.doctor import Check
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.robot_env import RobotEnv

if TYPE_CHECKING:
    from vjepa_sim.agents.calibration.calibration import ViewCalibration

WATCHING_TIME = 1.0  # s for which the camera is observed
HOLDING_TIME = 1.0  # s for which the arm is held still
MIN_LINK_QUALITY = 0.9  # share of control packets that must arrive in time


def preflight(
    env: RobotEnv,
    goals: list[Goal],
    *,
    camera: dict[str, Any] | None = None,
    card: Card | None = None,
    view: ViewCalibration | None = None,
) -> list[Check]:
    """Check robot, workspace, camera, goals and the requirements of the model.

    Args:
        env: environment of the connected robot.
        goals: goals of the deployment.
        camera: camera that took the goals, see :class:`.Origin`; None if unknown.
        card: card of the agent's model, if it has one.
        view: calibration of the camera that the agent uses, if any.

    Returns:
        All checks, passed or failed.
    """
    checks = [*_robot(env), *_camera(env, goals, camera)]
    return checks if card is None else [*checks, *_model(env, card, view)]


def require(checks: list[Check], show: Callable[[str], None], refusal: str) -> None:
    """Show all checks, and raise an error if one has failed.

    Args:
        checks: checks to show.
        show: shows a line of text.
        refusal: first sentence of the error message.

    Raises:
        UserError: a check has failed.
    """
    for check in checks:
        show(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
    failed = [f"{check.name}: {check.found}. {check.remedy}" for check in checks if not check.ok]
    if failed:
        raise UserError(" ".join([refusal, *failed]))


def check_control(env: RobotEnv) -> list[Check]:
    """Check that control packets reach the robot in time while it holds still. The arm must be under control.

    Returns:
        The check; none for a robot that doesn't count its control packets.
    """
    quality = env.robot.held_link_quality(HOLDING_TIME)
    if quality is None:
        return []
    low = quality < MIN_LINK_QUALITY
    return [
        Check(
            "control",
            not low or env.robot.simulated,  # a simulated robot shares the computer with the agent
            f"{quality:.0%} of the control packets arrive in time, {MIN_LINK_QUALITY:.0%} are needed"
            + (" on a real robot: this computer is busy, and the run may be stopped" if low else ""),
            "Use a direct network cable and a real-time kernel.",
        )
    ]


def _robot(env: RobotEnv) -> list[Check]:
    state, limits = env.robot.robot_state(), env.arm.limits
    place = state.pose[:3, 3]
    low = np.array(limits.workspace_low) - limits.workspace_margin
    high = np.array(limits.workspace_high) + limits.workspace_margin
    return [
        Check(
            "robot",
            not state.needs,
            f"{env.robot.description}, mode {state.mode}" if state.mode else env.robot.description,
            f"Before it accepts motions: {state.needs}.",
        ),
        Check(
            "errors",
            not state.errors,
            ", ".join(state.errors) or "none",
            "Find the cause, then clear the errors in the robot's own interface.",
        ),
        Check(
            "workspace",
            bool(np.all(place >= low) and np.all(place <= high)),
            f"flange at {np.round(place, 3).tolist()} m",
            f"Guide it into the box from {limits.workspace_low} to {limits.workspace_high}, or give another one with "
            "--limits.workspace-low and --limits.workspace-high.",
        ),
        Check("gripper state", True, env.robot.gripper_status, ""),
    ]


def _camera(env: RobotEnv, goals: list[Goal], camera: dict[str, Any] | None) -> list[Check]:
    height, width, _ = env.image_shape
    rate, wait = env.robot.camera_pace(WATCHING_TIME)
    often = "on request" if np.isinf(rate) else f"{rate:.1f} a second"
    oldest = env.arm.limits.max_camera_age
    now = env.robot.camera_card
    fault = image_fault(reduced_grey(env.robot.glimpse().rgb))
    empty = [goal.name for goal in goals if image_fault(reduced_grey(goal.rgb))]
    again = "Capture the goals again with this camera: vjepa-sim capture-goal."
    return [
        Check(
            "camera",
            wait <= oldest,
            f"{width} × {height} pixels, images {often}, the oldest {wait:.2f} s old ({oldest} s allowed)",
            "Give the camera a faster connection or more light, or close other programs that use it.",
        ),
        Check(
            "image",
            not fault,
            f"it is {fault}" if fault else "it shows something",
            "Look at the camera's image: take off the lens cap, and check light, exposure and stream.",
        ),
        Check(
            "goals",
            not empty and all(goal.rgb.shape == (height, width, 3) for goal in goals),
            f"{len(goals)} of {goals[0].rgb.shape[1]} × {goals[0].rgb.shape[0]} pixels"
            + (f"; {', '.join(map(repr, empty))} shows nothing: black, white, dark or of one colour" if empty else ""),
            again,
        ),
        Check(
            "view",
            camera is None or camera == now,
            f"{_words(now)}; that of the goals is unknown: see that they show the scene from there"
            if camera is None
            else f"that of the goals, {_words(now)}"
            if camera == now
            else f"the goals are from {_words(camera)}, the arm's camera is {_words(now)}",
            again,
        ),
    ]


def _model(env: RobotEnv, card: Card, view: ViewCalibration | None) -> list[Check]:
    height, width, _ = env.image_shape
    misfits = card.misfits(env.robot.period, min(height, width), arm=env.arm_name, gripper=env.gripper)
    aspect = card.transform.max_aspect
    seen_width, seen_height = min(width, round(height * aspect)), min(height, round(width * aspect))
    return [
        Check(
            "step",
            "step" not in misfits,
            f"the arm's {env.robot.period} s, the model's {card.period} s",
            f"Give --period {card.period}.",
        ),
        Check(
            "image size",
            "picture" not in misfits,
            f"{min(height, width)} pixels, the model takes {card.transform.size}",
            "Give the camera a higher resolution.",
        ),
        Check(
            "calibration",
            view is None or view.camera == env.robot.camera_card,
            _rotation(env, view),
            "Calibrate this camera: vjepa-sim calibrate-view; or leave out --view.",
        ),
        Check("crop", True, f"the model uses the center {seen_width} × {seen_height} of {width} × {height} pixels", ""),
        Check(
            "arm",
            "arm" not in misfits,
            f"{env.arm_name}, the model was trained with {', '.join(sorted(card.arms())) or 'any'}",
            "Train or fine-tune with this arm.",
        ),
        Check(
            "gripper",
            "gripper" not in misfits,
            f"{env.gripper}, the model was trained with {', '.join(sorted(card.grippers())) or 'any'}",
            "Train or fine-tune with this gripper.",
        ),
    ]


def _rotation(env: RobotEnv, view: ViewCalibration | None) -> str:
    if view is None:
        return "none: the camera is where it was in training"
    if view.camera != env.robot.camera_card:
        return f"made with {_words(view.camera)}, the arm's camera is {_words(env.robot.camera_card)}"
    return f"planned motions are rotated by {view.angle:.1f}°"


def _words(camera: dict[str, Any] | None) -> str:
    if camera is None:
        return "an unknown camera"
    if "address" in camera:
        return f"camera {camera['address']}"
    return ", ".join([f"{key} {value}" for key, value in camera.get("simulated", camera).items()] + ["simulated"])
