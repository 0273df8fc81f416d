"""Settings of a deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vjepa_sim.agents.registry import AGENTS, DEFAULT_PLANNER, AgentName, PlannerName
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.backends import BACKENDS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf
from vjepa_sim.envs.simulation.imperfections import Imperfections
from vjepa_sim.envs.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class DeployConfig:
    """Settings of a deployment.

    Attributes:
        backend: backend: sim, noisy-sim, loopback (a simulated robot with the real one's network protocol), or franka.
        agent: agent.
        checkpoint: checkpoint of the agent: a bundled name, a folder, or a released .pt file; octo and cosmos take
            their own formats. The agent's default if not given.
        planner: planner of an agent that plans, see docs/planning.md.
        task: task: its success test in simulation, its step budget for goals without one, and its name in the table;
            that of the goals if not given.
        object: object, for its name in the table; that of the goals if not given.
        arm: arm; that of the goals if not given.
        gripper: gripper; that of the goals if not given.
        goals: folder of goal images, see capture-goal.
        episodes: number of episodes; 5 if not given, and 1 on sim, where all would be equal.
        dry_run: plan from the present image, write the planned actions to dry_run.json, and send none.
        slow_first: whether an episode at a twentieth of the speed comes first; it is not in the table.
        home: whether to move to the start posture and open the gripper first, after confirmation; the way must be free.
        imperfections: sensor noise, latencies and actuator lags of noisy-sim.
        view: calibration of the camera by calibrate-view, for mpc: a folder or its view.json.
    """

    goals: str
    backend: Annotated[str, OneOf(BACKENDS)] = "franka"
    agent: AgentName = "mpc"
    checkpoint: str | None = None
    planner: PlannerName = DEFAULT_PLANNER
    task: Annotated[str | None, OneOf(TASKS)] = None
    object: Annotated[str | None, OneOf(OBJECTS)] = None
    arm: Annotated[str | None, OneOf(ARMS)] = None
    gripper: Annotated[str | None, OneOf(GRIPPERS)] = None
    episodes: int | None = None
    dry_run: bool = False
    slow_first: bool = False
    home: bool = False
    imperfections: Imperfections = field(default_factory=Imperfections)
    view: str | None = None

    def __post_init__(self) -> None:
        spec = AGENTS[self.agent]
        if spec.privileged:
            able = ", ".join(name for name, each in AGENTS.items() if not each.privileged)
            raise UserError(
                f"Agent {self.agent!r} reads the simulator's state, so it can't act on a robot. Choose one of: {able}."
            )
        if not spec.planning and (self.planner != DeployConfig.planner or self.view is not None):
            raise UserError(
                f"--planner, --view: no effect with --agent {self.agent}, which has no planner. Leave them out."
            )
        parts = ((TASKS, self.task), (OBJECTS, self.object), (ARMS, self.arm), (GRIPPERS, self.gripper))
        for registry, name in parts:
            if name is not None:
                registry.check(name)
        backend = BACKENDS[self.backend]
        if self.arm is not None:
            backend.check_arm(self.arm)
        if self.imperfections != Imperfections() and "imperfections" not in backend.takes():
            raise UserError(
                f"--imperfections: no effect with --backend {self.backend}, only with noisy-sim. Leave it out."
            )
        if self.episodes is not None and self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        if backend.repeats and (self.episodes or 1) > 1:
            raise UserError(
                f"--episodes {self.episodes}: on {self.backend} all episodes would be equal, so give 1. `vjepa-sim "
                "eval` evaluates episodes from different starts."
            )
        if self.home and self.dry_run:
            raise UserError("--home moves the arm, and --dry-run does not: leave one of them out.")

    @property
    def number(self) -> int:
        """Number of episodes, not counting a slow first one."""
        return self.episodes or (1 if BACKENDS[self.backend].repeats else 5)
