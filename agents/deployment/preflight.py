"""A look at everything before anything moves: each line tells what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.card import ModelCard
from vjepa_sim.envs.doctor import Check
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.robot_env import RobotEnv

if TYPE_CHECKING:
    from vjepa_sim.agents.calibration import ViewCalibration

READY_MODES = ("Idle", "Move")
WATCHING_TIME = 1.0  # s for which the camera is watched
HOLDING_TIME = 1.0  # s for which the arm is held still
MIN_SUCCESS_RATE = 0.9  # share of control packets that must arrive in time


def preflight(
    env: RobotEnv,
    goals: list[Goal],
    camera: dict[str, Any] | None = None,
    card: ModelCard | None = None,
    view: ViewCalibration | None = None,
) -> list[Check]:
    """Look at robot, workspace, camera, goals and the model's card.

    Args:
        env: connected.
        goals: that will be worked toward.
        camera: what took the goals, see :class:`.Origin`; None if nobody knows.
        card: of the model that will act, if one will.
        view: that its plans are turned by, if they are.
    """
    checks = [*_robot(env), *_camera(env, goals, camera)]
    return checks if card is None else [*checks, *_model(env, card, view)]


def require(checks: list[Check], told: Callable[[str], None], refusal: str) -> None:
    """Show all checks, and go on only if none has failed.

    Args:
        checks: to show.
        told: shown a line for each.
        refusal: what is not done then, in words.

    Raises:
        UserError: one has failed.
    """
    for check in checks:
        told(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
    failed = [f"{check.name}: {check.found}. {check.remedy}" for check in checks if not check.ok]
    if failed:
        raise UserError(" ".join([refusal, *failed]))


def check_control(env: RobotEnv) -> Check:
    """Hold still for a moment, and see that the robot hears us in time. The arm must be under control."""
    rate = env.robot.held_success_rate(HOLDING_TIME)
    return Check(
        "control",
        rate >= MIN_SUCCESS_RATE or env.robot.simulated,  # a simulated robot shares its computer with the agent
        f"{rate:.0%} of the packets arrive in time, {MIN_SUCCESS_RATE:.0%} are needed"
        + (" on a real robot: this machine is busy, the run may be stopped" if rate < MIN_SUCCESS_RATE else ""),
        "Use a direct cable, and a real-time kernel.",
    )


def _robot(env: RobotEnv) -> list[Check]:
    state, limits = env.robot.robot_state(), env.arm.limits
    place = state.pose[:3, 3]
    low = np.array(limits.workspace_low) - limits.workspace_margin
    high = np.array(limits.workspace_high) + limits.workspace_margin
    return [
        Check(
            "robot",
            state.mode in READY_MODES,
            f"{env.robot.description}, mode {state.mode}",
            "Unlock the joints and activate FCI in Desk.",
        ),
        Check(
            "errors",
            not state.errors,
            ", ".join(state.errors) or "none",
            "Find out what the arm met, then clear them in Desk.",
        ),
        Check(
            "workspace",
            bool(np.all(place >= low) and np.all(place <= high)),
            f"flange at {np.round(place, 3).tolist()} m",
            f"Guide it into the box from {limits.workspace_low} to {limits.workspace_high}, or give another box by "
            "--limits.workspace-low and --limits.workspace-high.",
        ),
        Check("hand", True, env.robot.gripper_status, ""),
    ]


def _camera(env: RobotEnv, goals: list[Goal], camera: dict[str, Any] | None) -> list[Check]:
    height, width, _ = env.observation_space["rgb"].shape
    rate, wait = env.robot.camera_pace(WATCHING_TIME)
    often = "whenever they are asked for" if np.isinf(rate) else f"{rate:.1f} a second"
    oldest = env.arm.limits.max_camera_age
    now = env.robot.camera_card
    again = "Take the goals anew with this camera: vjepa-sim capture-goal."
    return [
        Check(
            "camera",
            wait <= oldest,
            f"{width} × {height} pixels, pictures {often}, the oldest {wait:.2f} s old ({oldest} s allowed)",
            "Give the camera a faster connection or more light, or close what else reads it.",
        ),
        Check(
            "goals",
            all(goal.rgb.shape == (height, width, 3) for goal in goals),
            f"{len(goals)} of {goals[0].rgb.shape[1]} × {goals[0].rgb.shape[0]} pixels",
            again,
        ),
        Check(
            "view",
            camera is None or camera == now,
            f"the goals' own, {_words(now)}"
            if camera == now
            else f"the goals are from {_words(camera)}, the arm's camera is {_words(now)}",
            again,
        ),
    ]


def _model(env: RobotEnv, card: ModelCard, view: ViewCalibration | None) -> list[Check]:
    height, width, _ = env.observation_space["rgb"].shape
    misfits = card.misfits(env.robot.period, min(height, width), env.gripper)
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
            "picture",
            "picture" not in misfits,
            f"{min(height, width)} pixels, the model sees {card.transform.size}",
            "Give the camera a higher resolution.",
        ),
        Check(
            "calibration",
            view is None or view.camera == env.robot.camera_card,
            _turned(env, view),
            "Calibrate this camera: vjepa-sim calibrate-view; or leave out --view.",
        ),
        Check("crop", True, f"the model sees the middle {seen_width} × {seen_height} of {width} × {height} pixels", ""),
        Check(
            "gripper",
            "gripper" not in misfits,
            f"{env.gripper}, the model knows {', '.join(sorted(card.grippers())) or 'any'}",
            "Train or fine-tune with this gripper.",
        ),
    ]


def _turned(env: RobotEnv, view: ViewCalibration | None) -> str:
    if view is None:
        return "none: the camera stands as in training"
    if view.camera != env.robot.camera_card:
        return f"it is of {_words(view.camera)}, the arm's camera is {_words(env.robot.camera_card)}"
    return f"planned motions are turned by {view.angle:.1f}°"


def _words(camera: dict[str, Any] | None) -> str:
    if camera is None:
        return "an unknown camera"
    if "address" in camera:
        return f"camera {camera['address']}"
    return ", ".join([f"{key} {value}" for key, value in camera.get("simulated", camera).items()] + ["simulated"])
