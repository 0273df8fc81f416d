"""Episodes on a robot, simulated or real: look first, ask, act, judge, record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.agent import Agent
from agents.evaluation_report import INFO_FILE, write_report
from agents.preflight import check_control, preflight, require
from agents.recording import Recording
from agents.scoring import Cell, EpisodeScore
from data.files import write_json
from data.goals import fingerprint_goals
from data.output import check_output, claimed
from data.provenance import provenance
from envs.errors import UserError
from envs.faults import ArmFault
from envs.imperfections import Imperfections
from envs.observation import Goal
from envs.pose import POSITION, integrate
from envs.robot_env import RobotEnv
from vjepa_sim.world_model import fingerprint

if TYPE_CHECKING:
    from agents.view import ViewCalibration

CONFIG_FILE = "deploy_config.json"
DRY_RUN_FILE = "dry_run.json"
EPISODES = "episodes"  # folder of the recordings
SLOW = 0.05  # share of the usual speed
REFUSAL = "Not deployed."


@dataclass(frozen=True)
class DeployConfig:
    """What to do on the robot.

    Attributes:
        backend: which rung, see :data:`envs.make.BACKENDS`.
        agent, checkpoint, planner: who acts, see :func:`agents.agent.load_agent`.
        task: its budget of steps, and its name in the table.
        object: its name in the table.
        goals: folder of goal images.
        episodes: how many.
        dry_run: plan and log, send nothing.
        slow_first: an episode at a twentieth of the speed before the others; recorded, and left out of the table.
        home: move to the start posture before the first episode.
        imperfections: of the rung, if it has any to order.
        view: calibration of the camera, see :mod:`agents.view`.
    """

    backend: str
    agent: str
    checkpoint: str | None
    task: str
    object: str
    goals: str
    planner: str = "default"
    episodes: int = 5
    dry_run: bool = False
    slow_first: bool = False
    home: bool = False
    imperfections: Imperfections | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        if self.home and self.dry_run:
            raise UserError("--home moves the arm, and --dry-run moves nothing: leave one of them out.")


@dataclass(frozen=True)
class Operator:
    """The person at the robot.

    Attributes:
        agrees: asked a yes-or-no question.
        judges: asked after an episode whether it succeeded, where no task's own test can tell; None ends the run.
        told: shown a line of text.
        name: who judges, for the table.
    """

    agrees: Callable[[str], bool]
    judges: Callable[[int], bool | None]
    told: Callable[[str], None]
    name: str = "operator"


def deploy(
    out: Path,
    config: DeployConfig,
    env: RobotEnv,
    agent: Agent,
    goals: list[Goal],
    operator: Operator,
    camera: dict[str, Any] | None = None,
    view: ViewCalibration | None = None,
) -> dict:
    """Run episodes and write the same folder as an evaluation does, plus every episode in DROID's layout.

    Between episodes the arm is at rest and released, so that the scene may be set. A fault ends the run: the episode
    counts as failed, what is recorded is kept, and the fault is raised again. Whatever else ends an episode, its
    recording is kept too, its success unknown.

    Args:
        out: a new folder.
        config: what to do.
        env: connected; the caller closes it.
        agent: that acts; it sees the goals' pictures, never their states.
        goals: for every episode.
        operator: who is asked.
        camera: what took the goals, see :class:`data.goals.Origin`; None if nobody knows.
        view: that the agent's plans are turned by, if they are.

    Returns:
        The contents of ``eval_info.json``, or of ``dry_run.json``.

    Raises:
        UserError: the folder holds results, a check failed, or the operator did not agree.
        ArmFault: what stopped the arm.
    """
    check_output(out, CONFIG_FILE)
    if (out / INFO_FILE).exists() or (out / EPISODES).exists():
        raise UserError(f"{out} holds the episodes of an earlier run. Give a new folder as --out.")
    model = getattr(agent, "model", None)
    card = None if model is None else model.card
    require(preflight(env, goals, camera, card, view), operator.told, REFUSAL)
    settings = {
        **asdict(config),
        "limits": asdict(env.arm.limits),
        "period": env.robot.period,
        "gripper": env.gripper,
        "camera": env.robot.camera_card,
        "checkpoint_crc32": None if model is None else _checksum(config, view),
        "goals_crc32": fingerprint_goals(goals),
    }
    shown = [goal.image_alone() for goal in goals]
    if config.dry_run:
        with claimed(out, CONFIG_FILE, settings):
            return _rehearse(out, env, agent, shown, operator)
    first = "move to its start posture, open the hand, and then " if config.home else ""
    number = config.episodes + config.slow_first
    number = "1 episode" if number == 1 else f"{number} episodes"
    if not operator.agrees(f"The arm will {first}act for {number}. Is the way free and the stop at hand?"):
        raise UserError(f"{REFUSAL} The operator did not agree.")
    with claimed(out, CONFIG_FILE, settings):
        env.reset(options={"goals": goals})
        require([check_control(env)], operator.told, REFUSAL)
        if config.home:
            env.robot.go_home()
        return _run(out, config, settings, env, agent, goals, shown, operator)


def _checksum(config: DeployConfig, view: ViewCalibration | None) -> int:
    """The checkpoint's; a view that was calibrated with it knows it already."""
    return fingerprint(config.checkpoint) if view is None else view.checkpoint_crc32


def _rehearse(out: Path, env: RobotEnv, agent: Agent, goals: list[Goal], operator: Operator) -> dict:
    """Plan once toward each goal from what is seen now; nothing is sent."""
    planned = []
    for goal in goals:
        agent.begin([goal])
        observation = env.robot.glimpse()
        action = agent.act(observation)
        allowed, clipped = env.arm.allowed(action)
        target = integrate(observation.state, allowed)
        operator.told(
            f"{goal.name}: would move by {_rounded(allowed)} to {_rounded(target[:3])} m"
            + "".join(f"; {words}" for words in clipped)
        )
        numbers = {"state": observation.state, "action": action, "allowed": allowed, "target": target}
        lists = {name: each.astype(float).tolist() for name, each in numbers.items()}
        planned.append({"goal": goal.name, **lists, "clipped": clipped})
    log = {"planned": planned, "provenance": provenance()}
    write_json(out / DRY_RUN_FILE, log)
    return log


def _rounded(values: np.ndarray) -> list[float]:
    return np.round(values.astype(float), 3).tolist()


def _run(
    out: Path,
    config: DeployConfig,
    settings: dict[str, Any],
    env: RobotEnv,
    agent: Agent,
    goals: list[Goal],
    shown: list[Goal],
    operator: Operator,
) -> dict:
    info = {"config": settings, "cells": [], "slow_first": None, "complete": False, "provenance": provenance()}
    scores: list[EpisodeScore] = []
    speeds = [SLOW] * config.slow_first + [1.0] * config.episodes
    for index, speed in enumerate(speeds):
        if index and not env.robot.simulated:
            question = f"Set the scene for episode {index + 1} of {len(speeds)}. Go on?"
            if not operator.agrees(question):
                break
        env.robot.set_speed(speed)
        recording = Recording(env, config.task, type(agent).__name__, config.backend, speed)
        fault, success = None, None
        try:
            try:
                _act(env, agent, goals, shown, recording, operator.told)
            except ArmFault as stopped:
                fault = stopped
            finally:
                env.robot.release()
            success, judge = _judge(index, recording, fault, operator)
        finally:  # kept also when somebody gives up, or the agent fails
            recording.save(out / EPISODES, index, success)
        if success is None:
            break
        if fault is not None and not len(recording):  # the episode never began
            raise fault
        score = recording.score(index, success, judge, fault)
        if speed == 1.0:
            scores.append(score)
            info["cells"] = [Cell(config.agent, config.task, config.object, tuple(scores)).to_dict()]
        else:
            info["slow_first"] = score.to_dict()
            operator.told(f"Episode {index + 1} was slow: it is left out of the table.")
        info["complete"] = index + 1 == len(speeds)
        write_report(out, info)
        if fault is not None:
            raise fault
    return info


def _act(
    env: RobotEnv,
    agent: Agent,
    goals: list[Goal],
    shown: list[Goal],
    recording: Recording,
    told: Callable[[str], None],
) -> None:
    """One episode, to the end of the budget."""
    _, info = env.reset(options={"goals": goals})
    agent.begin(shown)
    recording.take(info)
    for step in range(env.budget):
        before = time.perf_counter()
        action = agent.act(env.observation)
        recording.seconds.append(time.perf_counter() - before)
        recording.evaluations.append(agent.model_evaluations)
        info = env.step(action)[4]
        recording.take(info)
        moved = 1000 * np.linalg.norm(info["action_sent"][POSITION])
        toward = f", toward {goals[agent.current_goal].name!r}" if len(goals) > 1 else ""
        told(f"step {step + 1} of {env.budget}{toward}: {recording.seconds[-1]:.2f} s to think, sent {moved:.0f} mm on")


def _judge(index: int, recording: Recording, fault: ArmFault | None, operator: Operator) -> tuple[bool | None, str]:
    """Whether the episode succeeded, and who says so; None if the operator ends the run instead."""
    if recording.info.get("judge") == "task":
        return fault is None and recording.info["is_success"], "task"
    return False if fault is not None else operator.judges(index), operator.name
