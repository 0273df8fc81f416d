"""Episodes on a real arm (or the loopback robot): look first, ask, act, let a person judge, record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agents.agent import Agent
from agents.evaluate import write_report
from agents.scoring import Cell, EpisodeScore
from data.episode import Camera, Episode
from data.formats.droid import write_episode
from data.output import claimed
from data.provenance import provenance
from envs.doctor import Check
from envs.errors import UserError
from envs.faults import ArmFault
from envs.observation import Goal, Observation
from envs.pose import POSITION
from envs.robot_env import RobotEnv

CONFIG_FILE = "deploy_config.json"
HOLDING_TIME = 1.0  # s for which the arm is held still before the first episode
MIN_SUCCESS_RATE = 0.9  # share of control packets that must arrive in time


@dataclass(frozen=True)
class DeployConfig:
    """What to do on the arm.

    Attributes:
        agent, checkpoint: who acts.
        task: its budget of steps, and its name in the table.
        object: its name in the table.
        goals: folder of goal images.
        episodes: how many.
        dry_run: plan and log, send nothing.
        slow_first: the first episode at a twentieth of the speed.
        view: calibration of the camera, see :mod:`agents.view`.
    """

    agent: str
    checkpoint: str
    task: str
    object: str
    goals: str
    episodes: int = 5
    dry_run: bool = False
    slow_first: bool = False
    view: str | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")


@dataclass(frozen=True)
class Operator:
    """The person at the robot.

    Attributes:
        agrees: asked a yes-or-no question.
        judges: asked after an episode whether it succeeded.
        told: shown a line of text.
    """

    agrees: Callable[[str], bool]
    judges: Callable[[int], bool]
    told: Callable[[str], None]


def preflight(env: RobotEnv, goals: list[Goal], agent: Agent) -> list[Check]:
    """Look at everything before anything moves.

    Args:
        env: connected.
        goals: that will be worked toward.
        agent: that will act.
    """
    state = env.robot.robot_state()
    limits = env.arm.limits
    place = state.pose[:3, 3]
    low = np.array(limits.workspace_low) - limits.workspace_margin
    high = np.array(limits.workspace_high) + limits.workspace_margin
    inside = bool(np.all(place >= low) and np.all(place <= high))
    height, width, _ = env.observation_space["rgb"].shape
    checks = [
        Check(
            "robot", state.mode in ("Idle", "Move"), f"mode {state.mode}", "Unlock the joints and activate FCI in Desk."
        ),
        Check(
            "workspace",
            inside,
            f"flange at {np.round(place, 3).tolist()} m",
            f"Guide it into the box from {limits.workspace_low} to {limits.workspace_high}.",
        ),
        Check("camera", True, f"{width} × {height} pixels", ""),
        Check(
            "goals",
            all(goal.rgb.shape == (height, width, 3) for goal in goals),
            f"{len(goals)} of {goals[0].rgb.shape[1]} × {goals[0].rgb.shape[0]} pixels",
            "Take them anew with the same camera: vjepa-sim capture-goal.",
        ),
    ]
    model = getattr(agent, "model", None)
    if model is not None:
        card = model.card
        misfits = card.misfits(env.robot.period, min(height, width), env.gripper)
        checks.append(
            Check(
                "step",
                "step" not in misfits,
                f"the arm's {env.robot.period} s, the model's {card.period} s",
                f"Give --period {card.period}.",
            )
        )
        checks.append(
            Check(
                "picture",
                "picture" not in misfits,
                f"{min(height, width)} pixels, the model sees {card.transform.size}",
                "Give the camera a higher resolution.",
            )
        )
        checks.append(
            Check(
                "gripper",
                "gripper" not in misfits,
                f"{env.gripper}, the model knows {', '.join(sorted(card.grippers())) or 'any'}",
                "Train or fine-tune with this gripper.",
            )
        )
    return checks


def deploy(out: Path, config: DeployConfig, env: RobotEnv, agent: Agent, goals: list[Goal], operator: Operator) -> dict:
    """Run episodes and write the same folder as an evaluation does, plus every episode in DROID's layout.

    A fault ends the run: the episode counts as failed, what is recorded is kept, and the fault is raised again.

    Args:
        out: a new folder.
        config: what to do.
        env: connected; the caller closes it.
        agent: that acts.
        goals: for every episode.
        operator: who is asked.

    Raises:
        UserError: a check failed, or the operator did not agree.
        ArmFault: what stopped the arm.
    """
    checks = preflight(env, goals, agent)
    for check in checks:
        operator.told(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
    failed = [f"{check.name}: {check.found}. {check.remedy}" for check in checks if not check.ok]
    if failed:
        raise UserError("Not deployed. " + " ".join(failed))
    with claimed(out, CONFIG_FILE, {**asdict(config), "limits": asdict(env.arm.limits), "period": env.robot.period}):
        if config.dry_run:
            return _rehearse(env, agent, goals, operator)
        if not operator.agrees(
            f"The arm will move for {config.episodes} episodes. Is the way free and the stop at hand?"
        ):
            raise UserError("Not deployed: the operator did not agree.")
        return _run(out, config, env, agent, goals, operator)


def _rehearse(env: RobotEnv, agent: Agent, goals: list[Goal], operator: Operator) -> dict:
    """Plan once toward each goal from what is seen now; nothing is sent."""
    planned = []
    for goal in goals:
        agent.begin([goal])
        observation = env.robot.glimpse()
        action = agent.act(observation)
        target = observation.state[POSITION] + action[POSITION]
        operator.told(f"{goal.name}: would move by {np.round(action, 3).tolist()} to {np.round(target, 3).tolist()} m")
        planned.append({"goal": goal.name, "action": [float(number) for number in action]})
    return {"planned": planned}


def _run(out: Path, config: DeployConfig, env: RobotEnv, agent: Agent, goals: list[Goal], operator: Operator) -> dict:
    info = {"config": asdict(config), "cells": [], "complete": False, "provenance": provenance()}
    scores: list[EpisodeScore] = []
    for index in range(config.episodes):
        env.robot.set_speed(0.05 if config.slow_first and index == 0 else 1.0)
        if index and not operator.agrees(f"Set the scene for episode {index + 1} of {config.episodes}. Go on?"):
            break
        film = _Film(env)
        fault: ArmFault | None = None
        seconds = evaluations = 0.0
        try:
            seconds, evaluations = _act(env, agent, goals, film)
        except ArmFault as stopped:
            fault = stopped
        success = fault is None and operator.judges(index)
        scores.append(film.score(index, success, goals[-1], seconds, evaluations, fault))
        if len(film) > 1:
            write_episode(out / "episodes", index, film.episode(config.task, success, agent))
        cell = Cell(config.agent, config.task, config.object, tuple(scores)).to_dict()
        info["cells"] = [cell]
        write_report(out, info)
        if fault is not None:
            raise fault
    info["complete"] = True
    write_report(out, info)
    return info


def _act(env: RobotEnv, agent: Agent, goals: list[Goal], film: _Film) -> tuple[float, float]:
    """One episode; median seconds and model evaluations of a decision."""
    env.reset(options={"goals": goals})
    _hold(env)
    agent.begin(goals)
    film.take()
    seconds, evaluations = [], []
    for _ in range(env.budget):
        before = time.perf_counter()
        action = agent.act(env.observation)
        seconds.append(time.perf_counter() - before)
        evaluations.append(agent.model_evaluations)
        env.step(action)
        film.take()
    return float(np.median(seconds)), float(np.median(evaluations))


def _hold(env: RobotEnv) -> None:
    """Hold still for a moment, and see that the robot hears us in time."""
    rate = env.robot.held_success_rate(HOLDING_TIME)
    if rate < MIN_SUCCESS_RATE and not env.robot.simulated:
        raise UserError(
            f"Only {rate:.0%} of the control packets reach the robot in time; at least {MIN_SUCCESS_RATE:.0%} must. Use a "
            "direct cable, and a real-time kernel."
        )


class _Film:
    """What happened in an episode."""

    def __init__(self, env: RobotEnv):
        self._env = env
        self._rows: list[tuple[Observation, np.ndarray, np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def take(self) -> None:
        """Note the present."""
        joints = self._env.robot.robot_state().joints
        self._rows.append((self._env.observation, self._env.arm.target, joints))

    def episode(self, task: str, success: bool, agent: Agent) -> Episode:
        """As our recorder makes them, with commands as of the row they were given in."""
        observations, targets, joints = zip(*self._rows, strict=True)
        return Episode(
            cameras=(Camera("left", np.stack([observation.rgb for observation in observations])),),
            states=np.stack([observation.state for observation in observations]).astype(np.float64),
            stamps=np.array([observation.stamp for observation in observations]),
            commands=np.stack([*targets[1:], targets[-1]]),
            joints=np.stack(joints),
            task=task,
            success=success,
            behavior=type(agent).__name__,
            details={
                "gripper": self._env.gripper,
                "source": {"robot_serial": "loopback" if self._env.robot.simulated else "franka"},
            },
        )

    def score(
        self, index: int, success: bool, goal: Goal, seconds: float, evaluations: float, fault: ArmFault | None
    ) -> EpisodeScore:
        """The row of the table; the distance is 0 where the goal has no pose to compare with."""
        away = 0.0
        if goal.state is not None and self._rows:
            away = float(np.linalg.norm(self._rows[-1][0].state[POSITION] - goal.state[POSITION]))
        steps = max(0, len(self._rows) - 1)
        return EpisodeScore(
            index, success, success, steps, away, seconds, evaluations, away, "" if fault is None else str(fault)
        )
