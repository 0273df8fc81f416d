"""``vjepa-sim deploy``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.errors import UserError, unknown_name
from envs.imperfections import Imperfections
from envs.make import BACKENDS
from vjepa_sim.cli.keys import ask, ask_key
from vjepa_sim.cli.options import refuse_unused, set_threads
from vjepa_sim.cli.robot import LimitOptions, chosen_limits, robot_settings

if TYPE_CHECKING:
    from data.goals import Origin


@dataclass(frozen=True)
class Deploy:
    """Let an agent work toward goal images on a robot: preflight, your yes, judged episodes, a table.

    Attributes:
        out: a new folder: table, numbers, and the episodes in DROID's layout.
        goals: folder of goal images, see capture-goal.
        backend: the rung: sim, noisy-sim, loopback (a simulated robot behind the real one's protocol), or franka.
        host: address of the robot; for loopback, one of this machine's own.
        camera: of the real robot: index, device, URL, realsense or zed.
        gripper: robotiq or panda_hand; the goals' own if not given.
        gripper_address: serial device of a Robotiq.
        driver: library that talks to the robot: franky or franka-rs.
        agent: mpc, bc (a cloned policy), octo and cosmos (released ones), random or still.
        checkpoint: for mpc and bc: a bundled name or a folder (the bundled tiny or bc if not given), or a released .pt
            file; for octo and cosmos their own.
        planner: for mpc and cosmos: default, policy (no search), unguided (a search without the policy), polished (and
            down the gradient), reference (V-JEPA 2-AC's own), latent, lookahead, pixels or generated (distances alone),
            timed (sub-goals by the clock alone), uncorrected (readings as they are), or no-TERM: default without one of
            its energy's terms, such as no-steps; docs/planning.md tells more.
        task: reach, grasp, reach-with-object or pick-and-place: its budget of steps; the goals' own if not given.
        object: name of the object in the table; the goals' own if not given.
        episodes: how many; 5 if not given, and 1 on sim, where all would be alike.
        period: seconds of a step; the model's own if not given.
        imperfections: what noisy-sim does less well than the simulator.
        dry_run: plan from what is seen, log what would be sent to dry_run.json, and send nothing.
        slow_first: an episode at a twentieth of the speed before the others; the table leaves it out.
        home: after your yes, move to the start posture and open the hand; the way must be free.
        yes: agree to everything beforehand, and count no episode as solved that only a person can judge; not on a real
            robot.
        limits: of the safety envelope; what isn't given is as usual for the gripper.
        threads: PyTorch's; 0 leaves the choice to it.
        view: for mpc: what calibrate-view found out about the camera; a folder or its view.json.
    """

    out: Path
    goals: Path
    backend: str = "franka"
    host: str | None = None
    camera: str | None = None
    gripper: str | None = None
    gripper_address: str | None = None
    driver: str = "franky"
    agent: str = "mpc"
    checkpoint: str | None = None
    planner: str = "default"
    task: str | None = None
    object: str | None = None
    episodes: int | None = None
    period: float | None = None
    imperfections: Imperfections = field(default_factory=Imperfections)
    dry_run: bool = False
    slow_first: bool = False
    home: bool = False
    yes: bool = False
    limits: LimitOptions = field(default_factory=LimitOptions)
    threads: int = 0
    view: str | None = None

    def run(self) -> int:
        from agents.agent import PLANNING, TRUTH, checkpoint_of, load_agent
        from agents.deploy import DeployConfig, Operator, deploy
        from agents.scoring import markdown_table
        from agents.view import load_view
        from data.goals import load_goals, load_origin
        from envs.make import make_robot

        if self.agent in TRUTH:
            raise UserError(
                f"Agent {self.agent} reads a simulator's truth; on a robot there is none. Give mpc, bc, octo, cosmos, "
                "random or still."
            )
        if self.agent not in PLANNING:
            refuse_unused(self, ("planner", "view"), f"with --agent {self.agent}, which plans nothing")
        if self.backend not in BACKENDS:
            raise unknown_name("backend", self.backend, BACKENDS)
        if self.yes and self.backend == "franka":
            raise UserError("--yes: a real robot moves, and is judged, in front of a person who answers. Leave it out.")
        if self.backend != "noisy-sim":
            refuse_unused(self, ("imperfections",), f"with --backend {self.backend}; noisy-sim has some to order")
        goals, origin = load_goals(self.goals), load_origin(self.goals)
        start = origin.start
        task = self._agreed("task", None if start is None else start.task, "reach")
        named = self._agreed("object", None if start is None else start.object_name, "box")
        gripper = self._agreed("gripper", None if start is None else start.gripper, "robotiq")
        set_threads(self.threads)
        checkpoint = checkpoint_of(self.agent, self.checkpoint)
        config = DeployConfig(
            backend=self.backend,
            agent=self.agent,
            checkpoint=checkpoint,
            planner=self.planner,
            task=task,
            object=named,
            goals=str(self.goals),
            episodes=self._number(),
            dry_run=self.dry_run,
            slow_first=self.slow_first,
            home=self.home,
            imperfections=self.imperfections if self.backend == "noisy-sim" else None,
            view=self.view,
        )
        settings = self._settings(origin, goals[0].rgb.shape[0], named)
        limits = chosen_limits(self.limits, self.backend, gripper)
        view = None if self.view is None else load_view(self.view, checkpoint)
        agent = load_agent(self.agent, checkpoint, limits=limits, view=view, planner=self.planner)
        model = getattr(agent, "model", None)
        period = round(self.period or (model.card.period if model is not None else None) or 1.0, 4)
        env = make_robot(task, self.backend, gripper=gripper, period=period, limits=limits, **settings)
        operator = Operator(self._agrees, self._judges, print, "nobody" if self.yes else "operator")
        try:
            info = deploy(self.out, config, env, agent, goals, operator, origin.camera, view)
        finally:
            env.close()
        if info.get("cells"):
            print(markdown_table(info["cells"]), end="")
            print(f"\nTable, numbers and episodes lie in {self.out}.")
        return 0

    def _number(self) -> int:
        if self.backend == "sim" and (self.episodes or 1) > 1:
            raise UserError(
                f"--episodes {self.episodes}: on sim each would be the first one again, and counts once. `vjepa-sim "
                "eval` scores many, from other starts."
            )
        usual = 1 if self.backend == "sim" else 5
        return usual if self.episodes is None else self.episodes

    def _agreed(self, option: str, goals_own: str | None, usual: str) -> str:
        """What was given, but not against the goals: their start and their test are their own task's."""
        given = getattr(self, option)
        if given is not None and goals_own is not None and given != goals_own:
            raise UserError(
                f"--{option} {given}: the goals in {self.goals} are of {goals_own}. Leave it out, or take others."
            )
        return given or goals_own or usual

    def _settings(self, origin: Origin, size: int, object_name: str) -> dict[str, Any]:
        """What a rung needs besides gripper and period."""
        settings = robot_settings(self)
        if self.backend == "franka":
            return settings
        settings |= {"object_name": object_name, "size": size, "start": origin.start}
        return {**settings, "imperfections": self.imperfections} if self.backend == "noisy-sim" else settings

    def _agrees(self, question: str) -> bool:
        if self.yes or self.backend in ("sim", "noisy-sim"):
            return True  # there is nothing that could break
        return ask(question)

    def _judges(self, index: int) -> bool | None:
        if self.yes:
            return False
        key = ask_key(f"Did episode {index + 1} succeed? [y]es, [n]o, [q]uit and keep what is there:", "ynq")
        return None if key == "q" else key == "y"
