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
    from vjepa_sim.data.goals import Origin


@dataclass(frozen=True, kw_only=True)
class Deploy(Verb, RobotOptions, DeployConfig):
    """Let an agent work toward goal images on a robot: preflight, your yes, judged episodes, a table.

    Attributes:
        out: a new folder: table, numbers, and the episodes in DROID's layout.
        yes: agree to everything beforehand, and count no episode as solved that only a person can judge; not on a real
            robot.
        limits: of the safety envelope; what isn't given is as usual for the gripper.
        threads: PyTorch's; 0 leaves the choice to it.
    """

    out: Path
    yes: bool = False
    limits: LimitOptions = field(default_factory=LimitOptions)
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.agent import card_of
        from vjepa_sim.agents.calibration import load_view
        from vjepa_sim.agents.deployment.deploy import Operator, deploy
        from vjepa_sim.agents.evaluation.statistics import markdown_table
        from vjepa_sim.agents.registry import checkpoint_of, load_agent
        from vjepa_sim.data.goals import load_goals, load_origin
        from vjepa_sim.envs.backends import make_robot

        config = self.configuration(DeployConfig)
        if self.yes and not BACKENDS[self.backend].simulated:
            raise UserError("--yes: a real robot moves, and is judged, in front of a person who answers. Leave it out.")
        goals, origin = load_goals(Path(self.goals)), load_origin(Path(self.goals))
        start = origin.start
        set_threads(self.threads)
        config = replace(
            config,
            task=self._agreed("task", None if start is None else start.task, "reach"),
            object=self._agreed("object", None if start is None else start.object_name, "box"),
            gripper=self._agreed("gripper", None if start is None else start.gripper, "robotiq"),
            checkpoint=checkpoint_of(self.agent, self.checkpoint),
        )
        settings = self._settings(config, origin, goals[0].rgb.shape[0])
        limits = chosen_limits(self.limits, self.backend, config.gripper)
        view = None if self.view is None else load_view(self.view, config.checkpoint)
        agent = load_agent(self.agent, config.checkpoint, limits=limits, view=view, planner=self.planner)
        card = card_of(agent)
        period = round(self.period or (None if card is None else card.period) or 1.0, 4)
        env = make_robot(config.task, self.backend, gripper=config.gripper, period=period, limits=limits, **settings)
        operator = Operator(self._agrees, self._judges, print, "nobody" if self.yes else "operator")
        try:
            info = deploy(
                self.out,
                config,
                env=env,
                agent=agent,
                goals=goals,
                operator=operator,
                camera=origin.camera,
                view=view,
            )
        finally:
            env.close()
        if info.get("cells"):
            print(markdown_table(info["cells"]), end="")
            print(f"\nTable, numbers and episodes lie in {self.out}.")
        return 0

    def _agreed(self, option: str, goals_own: str | None, usual: str) -> str:
        """What was given, but not against the goals: their start and their test are their own task's."""
        given = getattr(self, option)
        if given is not None and goals_own is not None and given != goals_own:
            raise UserError(
                f"--{option} {given}: the goals in {self.goals} are of {goals_own}. Leave it out, or take others."
            )
        return given or goals_own or usual

    def _settings(self, config: DeployConfig, origin: Origin, size: int) -> dict[str, Any]:
        """What a back end needs besides gripper and period."""
        told = {"object_name": config.object, "size": size, "start": origin.start, "imperfections": self.imperfections}
        takes = BACKENDS[self.backend].takes()
        if "arm" in takes and origin.start is not None:
            told["arm"] = origin.start.arm
        return self.robot_settings() | {name: value for name, value in told.items() if name in {*takes, "arm"}}

    def _agrees(self, question: str) -> bool:
        return self.yes or not BACKENDS[self.backend].asks or ask(question)

    def _judges(self, index: int) -> bool | None:
        if self.yes:
            return False
        key = ask_key(f"Did episode {index + 1} succeed? [y]es, [n]o, [q]uit and keep what is there:", "ynq")
        return None if key == "q" else key == "y"
