"""Deployment of an agent on a robot, simulated or real: preflight, confirmation, episodes, records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.agents.agent import Agent, card_of
from vjepa_sim.agents.deployment.config import DeployConfig
from vjepa_sim.agents.deployment.preflight import check_control, preflight, require
from vjepa_sim.agents.deployment.recording import Recording
from vjepa_sim.agents.evaluation.report import INFO_FILE, write_report
from vjepa_sim.agents.evaluation.statistics import ConditionResult, EpisodeScore
from vjepa_sim.agents.rollout import Step, rollout
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.files import write_json
from vjepa_sim.data.goal_folder import fingerprint_goals
from vjepa_sim.data.output import check_output, claimed
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.pose import POSITION, integrate
from vjepa_sim.envs.robot_env import RobotEnv

if TYPE_CHECKING:
    from vjepa_sim.agents.calibration.calibration import ViewCalibration

CONFIG_FILE = "deploy_config.json"
DRY_RUN_FILE = "dry_run.json"
EPISODES = "episodes"  # folder of the recordings
SLOW = 0.05  # share of full speed
REFUSAL = "Not deployed."


@dataclass(frozen=True)
class Operator:
    """The person at the robot.

    Attributes:
        agrees: asks a yes-or-no question.
        judges: asks whether an episode, given by its index, succeeded, where the task has no test of its own; returns
            None to end the run.
        show: shows a line of text.
        name: name of the judge in the table.
    """

    agrees: Callable[[str], bool]
    judges: Callable[[int], bool | None]
    show: Callable[[str], None]
    name: str = "operator"


def deploy(
    out: Path,
    config: DeployConfig,
    *,
    env: RobotEnv,
    agent: Agent,
    goals: list[Goal],
    operator: Operator,
    camera: dict[str, Any] | None = None,
    view: ViewCalibration | None = None,
) -> dict:
    """Run episodes on a robot, and write a folder as an evaluation does, with recordings in DROID's format.

    Between episodes the arm is released, so that the scene can be reset. A fault ends the run: its episode counts as
    failed and its recording is kept. If anything else interrupts an episode, its recording is kept without a success.

    Args:
        out: new folder.
        config: settings of the deployment.
        env: environment of the connected robot; the caller closes it.
        agent: agent; it is given the images of the goals only, not the arm's states in them.
        goals: goals of every episode.
        operator: person at the robot.
        camera: camera that took the goals, see :class:`.Origin`; None if unknown.
        view: calibration of the camera that the agent uses, if any.

    Returns:
        The contents of ``eval_info.json``, or of ``dry_run.json``.

    Raises:
        UserError: the folder holds results, a check failed, or the operator did not agree.
        ArmFault: a fault stopped the arm.
    """
    check_output(out, CONFIG_FILE)
    if (out / INFO_FILE).exists() or (out / EPISODES).exists():
        raise UserError(f"{out} holds the episodes of an earlier run. Give a new folder as --out.")
    card = card_of(agent)
    require(preflight(env, goals, camera=camera, card=card, view=view), operator.show, REFUSAL)
    settings = {
        **asdict(config),
        "limits": asdict(env.arm.limits),
        "period": env.robot.period,
        "arm": env.arm_name,
        "gripper": env.gripper,
        "camera": env.robot.camera_card,
        "checkpoint_crc32": None if card is None or config.checkpoint is None else _checksum(config.checkpoint, view),
        "goals_crc32": fingerprint_goals(goals),
    }
    shown = [goal.image_alone() for goal in goals]
    if config.dry_run:
        with claimed(out, CONFIG_FILE, settings):
            return _rehearse(out, env, agent, shown, operator)
    first = "move to its start posture, open the gripper, and then " if config.home else ""
    count = config.number + config.slow_first
    episodes = "1 episode" if count == 1 else f"{count} episodes"
    if not operator.agrees(
        f"The arm will {first}act for {episodes}. Is the way free and the emergency stop within reach?"
    ):
        raise UserError(f"{REFUSAL} The operator did not agree.")
    with claimed(out, CONFIG_FILE, settings):
        env.reset(options={"goals": goals})
        require(check_control(env), operator.show, REFUSAL)
        if config.home:
            env.robot.go_home()
        return _run(out, config, settings, env, agent, goals, operator)


def _checksum(checkpoint: str, view: ViewCalibration | None) -> int:
    """Checksum of a checkpoint, read from its calibration if there is one."""
    return fingerprint(checkpoint) if view is None else view.checkpoint_crc32


def _rehearse(out: Path, env: RobotEnv, agent: Agent, goals: list[Goal], operator: Operator) -> dict:
    """Plan once toward each goal from the present image, and send nothing."""
    planned = []
    for goal in goals:
        observation = env.robot.glimpse()
        with naming_part(f"Agent {type(agent).__name__!r}", type(agent)):
            agent.begin([goal])
            action = agent.act(observation)
        allowed, clipped = env.arm.allowed(action)
        target = integrate(observation.state, allowed)
        operator.show(
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
    operator: Operator,
) -> dict:
    info = {"config": settings, "cells": [], "slow_first": None, "complete": False, "provenance": provenance()}
    task, name = config.task or env.task.name, config.object or "object"
    scores: list[EpisodeScore] = []
    speeds = [SLOW] * config.slow_first + [1.0] * config.number
    for index, speed in enumerate(speeds):
        if index and not env.robot.simulated:
            question = f"Reset the scene for episode {index + 1} of {len(speeds)}. Continue?"
            if not operator.agrees(question):
                break
        env.robot.set_speed(speed)
        recording = Recording(env, task=task, behavior=type(agent).__name__, backend=config.backend, speed=speed)
        fault, success = None, None
        try:
            try:
                _act(env, agent, goals, recording, operator.show)
            except ArmFault as stopped:
                fault = stopped
            finally:
                env.robot.release()
            success, judge = _judge(index, recording, fault, operator)
        finally:  # also after an interruption, or an error of the agent
            recording.save(out / EPISODES, index, success)
        if success is None:
            break
        if fault is not None and not len(recording):  # the episode never began
            raise fault
        score = recording.score(index, success, judge, fault)
        if speed == 1.0:
            scores.append(score)
            result = ConditionResult(agent=config.agent, task=task, object=name, episodes=tuple(scores))
            info["cells"] = [result.to_dict()]
        else:
            info["slow_first"] = score.to_dict()
            operator.show(f"Episode {index + 1} was slow: it is left out of the table.")
        info["complete"] = index + 1 == len(speeds)
        write_report(out, info)
        if fault is not None:
            raise fault
    return info


def _act(env: RobotEnv, agent: Agent, goals: list[Goal], recording: Recording, show: Callable[[str], None]) -> None:
    """Run one episode to the end of its budget."""
    _, info = env.reset(options={"goals": goals})
    recording.begin(info)

    def on_step(step: Step) -> None:
        recording.add(step, agent.model_evaluations)
        moved = 1000 * np.linalg.norm(step.info["action_sent"][POSITION])
        toward = f", toward {goals[agent.current_goal].name!r}" if len(goals) > 1 else ""
        show(f"step {step.number} of {env.budget}{toward}: planned in {step.seconds:.2f} s, moved by {moved:.0f} mm")

    rollout(env, agent, on_step)


def _judge(index: int, recording: Recording, fault: ArmFault | None, operator: Operator) -> tuple[bool | None, str]:
    """Success of an episode and name of the judge; the success is None if the operator ends the run."""
    if recording.info.get("judge") == "task":
        return fault is None and recording.info["is_success"], "task"
    return False if fault is not None else operator.judges(index), operator.name
