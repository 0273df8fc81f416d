"""``vjepa-sim deploy``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_sim.agents.deployment.config import DeployConfig
from vjepa_sim.cli.keys import ask, ask_key
from vjepa_sim.cli.options import set_threads
from vjepa_sim.cli.robot import LimitOptions, RobotOptions, chosen_limits
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.backends import BACKENDS
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    from vjepa_sim.data.goal_folder import Origin


@dataclass(frozen=True, kw_only=True)
class Deploy(Verb, RobotOptions, DeployConfig):
    """Deploy an agent toward goal images on a robot: preflight, confirmation, episodes, a table of results.

    Attributes:
        out: new folder for table, numbers, and episodes in DROID's format.
        yes: confirm everything beforehand, and count episodes that a person would judge as failed; not on a real robot.
        limits: limits of the safety envelope; the defaults of arm and gripper where not given.
        threads: number of PyTorch threads; 0 for PyTorch's default.
    """

    out: Path
    yes: bool = False
    limits: LimitOptions = field(default_factory=LimitOptions)
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.agent import card_of
        from vjepa_sim.agents.calibration.calibration import load_view
        from vjepa_sim.agents.deployment.deploy import Operator, deploy
        from vjepa_sim.agents.evaluation.statistics import markdown_table
        from vjepa_sim.agents.registry import checkpoint_of, load_agent
        from vjepa_sim.data.goal_folder import PHOTO, fit_photo, load_goals, load_origin
        from vjepa_sim.envs.backends import make_robot

        config = self.configuration(DeployConfig)
        if self.yes and not BACKENDS[self.backend].simulated:
            raise UserError("--yes: on a real robot, a person must confirm motions and judge episodes. Leave it out.")
        goals, origin = load_goals(Path(self.goals)), load_origin(Path(self.goals))
        start = origin.start
        set_threads(self.threads)
        task = self._agreed("task", None if start is None else start.task, "reach")
        arm = self._agreed("arm", None if start is None else start.arm, BACKENDS[self.backend].usual_arm)
        gripper = self._agreed("gripper", None if start is None else start.gripper, "robotiq")
        checkpoint = checkpoint_of(self.agent, self.checkpoint)
        config = replace(
            config,
            task=task,
            object=self._agreed("object", None if start is None else start.object_name, "box"),
            arm=arm,
            gripper=gripper,
            checkpoint=checkpoint,
        )
        settings = self._settings(config, origin, goals[0].rgb.shape[0])
        limits = chosen_limits(self.limits, self.backend, arm, gripper)
        view = None if self.view is None or checkpoint is None else load_view(self.view, checkpoint)
        agent = load_agent(self.agent, checkpoint, limits=limits, view=view, planner=self.planner)
        card = card_of(agent)
        period = round(self.period or (None if card is None else card.period) or 1.0, 4)
        env = make_robot(task, self.backend, arm, gripper=gripper, period=period, limits=limits, **settings)
        if PHOTO in origin.camera:
            height, width, _ = env.image_shape
            goals = [fit_photo(goal, height, width) for goal in goals]
        operator = Operator(self._agrees, self._judges, print, "nobody" if self.yes else "operator")
        try:
            info = deploy(
                self.out,
                config,
                env=env,
                agent=agent,
                goals=goals,
                operator=operator,
                camera=None if PHOTO in origin.camera else origin.camera,
                view=view,
            )
        finally:
            env.close()
        if info.get("cells"):
            print(markdown_table(info["cells"]), end="")
            print(f"\nTable, numbers and episodes are in {self.out}.")
        return 0

    def _agreed(self, option: str, of_goals: str | None, default: str) -> str:
        """The value of an option, which must not contradict the one that the goals were captured with."""
        given = getattr(self, option)
        if given is not None and of_goals is not None and given != of_goals:
            raise UserError(
                f"--{option} {given}: the goals in {self.goals} are for {of_goals}. Leave it out, or give other goals."
            )
        return given or of_goals or default

    def _settings(self, config: DeployConfig, origin: Origin, size: int) -> dict[str, Any]:
        """Settings of a backend besides arm, gripper and period."""
        takes = BACKENDS[self.backend].takes()
        known: dict[str, Any] = {"object_name": config.object, "size": size, "start": origin.start}
        known["imperfections"] = self.imperfections
        return self.robot_settings(self.backend) | {name: known[name] for name in known if name in takes}

    def _agrees(self, question: str) -> bool:
        return self.yes or not BACKENDS[self.backend].asks or ask(question)

    def _judges(self, index: int) -> bool | None:
        if self.yes:
            return False
        key = ask_key(f"Did episode {index + 1} succeed? [y]es, [n]o, [q]uit and keep the results:", "ynq")
        return None if key == "q" else key == "y"
