"""What to do on a robot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.envs.backends import BACKENDS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf
from vjepa_sim.envs.simulation.imperfections import Imperfections
from vjepa_sim.envs.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class DeployConfig:
    """What to do on a robot.

    Attributes:
        backend: back end: sim, noisy-sim, loopback (a simulated robot behind the real one's protocol), or franka.
        agent: agent that acts.
        checkpoint: what it acts with: a bundled name, a folder, or a released .pt file; for octo and cosmos their own.
            The agent's bundled one if not given.
        planner: how an agent plans that does; docs/planning.md explains each.
        task: task: its test where it judges, its budget of steps for a goal that has none, and its name in the table;
            the goals' own if not given.
        object: object: its name in the table; the goals' own if not given.
        gripper: gripper; the goals' own if not given.
        goals: folder of goal images, see capture-goal.
        episodes: number of episodes; 5 if not given, and 1 on sim, where all would be alike.
        dry_run: plan from what is seen, log what would be sent to dry_run.json, and send nothing.
        slow_first: an episode at a twentieth of the speed before the others; the table leaves it out.
        home: after your yes, move to the start posture and open the gripper; the way must be free.
        imperfections: what noisy-sim does less well than the simulator.
        view: for mpc: what calibrate-view found out about the camera; a folder or its view.json.
    """

    goals: str
    backend: Annotated[str, OneOf(BACKENDS)] = "franka"
    agent: Annotated[str, OneOf(AGENTS)] = "mpc"
    checkpoint: str | None = None
    planner: Annotated[str, OneOf("vjepa_sim.agents.planning.presets:PLANNERS")] = "default"
    task: Annotated[str | None, OneOf(TASKS)] = None
    object: Annotated[str | None, OneOf(OBJECTS)] = None
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
                f"Agent {self.agent!r} reads the simulator's own numbers; on a robot there are none. Give one of: "
                f"{able}."
            )
        if not spec.planning and (self.planner != DeployConfig.planner or self.view is not None):
            raise UserError(
                f"--planner, --view: no effect with --agent {self.agent}, which plans nothing. Leave them out."
            )
        for registry, name in ((TASKS, self.task), (OBJECTS, self.object), (GRIPPERS, self.gripper)):
            if name is not None:
                registry.check(name)
        backend = BACKENDS[self.backend]
        if self.imperfections != Imperfections() and "imperfections" not in backend.takes():
            raise UserError(
                f"--imperfections: no effect with --backend {self.backend}; noisy-sim has some to order. Leave it out."
            )
        if self.episodes is not None and self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        if backend.repeats and (self.episodes or 1) > 1:
            raise UserError(
                f"--episodes {self.episodes}: on {self.backend} each would be the first one again, and counts once. "
                "`vjepa-sim eval` evaluates many, from other starts."
            )
        if self.home and self.dry_run:
            raise UserError("--home moves the arm, and --dry-run moves nothing: leave one of them out.")

    @property
    def number(self) -> int:
        """How many episodes there are, but for a slow first one."""
        return self.episodes or (1 if BACKENDS[self.backend].repeats else 5)
