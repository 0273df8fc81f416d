"""``vjepa-sim deploy``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from envs.errors import UserError
from vjepa_sim.cli.options import set_threads


@dataclass(frozen=True)
class Deploy:
    """Let an agent work toward goal images on a robot: preflight, your yes, episodes that you judge, a table.

    Attributes:
        out: a new folder: table, numbers, and the episodes in DROID's layout.
        goals: folder of goal images, see capture-goal.
        backend: franka (the real one) or loopback (a simulated robot behind the real one's protocol).
        host: address of the robot; for loopback, one of this machine's own.
        camera: index, device, URL, realsense or zed.
        gripper: robotiq or panda_hand.
        gripper_address: serial device of a Robotiq.
        driver: library that talks to the robot: franky or franka-rs.
        agent: mpc, random or still.
        checkpoint: for mpc: a bundled name, or a folder.
        task: reach, grasp, reach-with-object or pick-and-place: its budget of steps.
        object: name of the object in the table.
        episodes: how many.
        period: seconds of a step; the model's own if not given.
        dry_run: plan from what is seen, say what would be sent, and send nothing.
        slow_first: the first episode at a twentieth of the speed.
        home: move to the start posture before the first episode; the way must be free.
        yes: agree to everything beforehand, and count no episode as solved; for rehearsals.
        threads: PyTorch's; 0 leaves the choice to it.
        view: for mpc: what calibrate-view found out about the camera; a folder or its view.json.
    """

    out: Path
    goals: Path
    backend: str = "franka"
    host: str | None = None
    camera: str | None = None
    gripper: str = "robotiq"
    gripper_address: str | None = None
    driver: str = "franky"
    agent: str = "mpc"
    checkpoint: str = "tiny"
    task: str = "reach"
    object: str = "box"
    episodes: int = 5
    period: float | None = None
    dry_run: bool = False
    slow_first: bool = False
    home: bool = False
    yes: bool = False
    threads: int = 0
    view: str | None = None

    def run(self) -> int:
        from agents.agent import load_agent
        from agents.deploy import DeployConfig, Operator, deploy
        from agents.scoring import markdown_table
        from data.goals import load_goals
        from envs.make import make
        from envs.safety import default_limits

        if self.agent == "expert":
            raise UserError(
                "The scripted expert reads a simulator's truth; on a robot there is none. Give mpc, random or still."
            )
        goals = load_goals(self.goals)
        set_threads(self.threads)
        config = DeployConfig(
            self.agent,
            self.checkpoint,
            self.task,
            self.object,
            str(self.goals),
            self.episodes,
            self.dry_run,
            self.slow_first,
            self.view,
        )
        agent = load_agent(self.agent, self.checkpoint, limits=default_limits(self.gripper), view=self.view)
        model = getattr(agent, "model", None)
        period = round(self.period or (model.card.period if model is not None else None) or 1.0, 4)
        env = make(self.task, self.backend, **self._settings(period, goals[0].rgb.shape[0]))
        operator = Operator(self._agrees, self._judges, print)
        try:
            if self.home and self._agrees("The arm will move to its start posture and open the hand. Is the way free?"):
                env.robot.go_home()
            info = deploy(self.out, config, env, agent, goals, operator)
        finally:
            env.close()
        if "cells" in info:
            print(markdown_table(info["cells"]), end="")
            print(f"\nTable, numbers and episodes lie in {self.out}.")
        return 0

    def _settings(self, period: float, size: int) -> dict:
        if self.backend == "loopback":
            host = {} if self.host is None else {"host": self.host}
            return {
                **host,
                "gripper": self.gripper,
                "object_name": self.object,
                "size": size,
                "period": period,
                "driver": self.driver,
            }
        if self.host is None or self.camera is None:
            raise UserError("A real robot needs --host ADDRESS and --camera DEVICE.")
        return {
            "host": self.host,
            "camera": self.camera,
            "gripper": self.gripper,
            "gripper_address": self.gripper_address,
            "period": period,
            "driver": self.driver,
        }

    def _agrees(self, question: str) -> bool:
        if self.yes and self.backend == "loopback":
            return True
        return _ask(f"{question} [y/N] ")

    def _judges(self, index: int) -> bool:
        return False if self.yes else _ask(f"Did episode {index + 1} succeed? [y/N] ")


def _ask(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError(f"Nobody is there to answer: {question}A robot is deployed from a terminal.")
    return input(question).strip().lower() in ("y", "yes")
