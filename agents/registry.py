"""Agents by name, and how one is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vjepa_sim.agents.agent import Agent
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.safety import SafetyLimits

if TYPE_CHECKING:
    from vjepa_sim.agents.calibration import ViewCalibration
    from vjepa_sim.envs.sim_env import SimEnv
    from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True)
class AgentSetup:
    """What an agent is made with.

    Attributes:
        checkpoint: what it acts with; None for one that has learned nothing.
        seed: random seed of the agent's own.
        limits: the arm's step limits.
        planner: name of one of :data:`.PLANNERS`, for an agent that plans.
        view: calibration of the camera for this checkpoint, for an agent that takes one.
        env: the environment, for privileged agents only.
    """

    checkpoint: str | None
    seed: int
    limits: SafetyLimits
    planner: str
    view: ViewCalibration | None
    env: SimEnv | None

    def privileged_env(self) -> SimEnv:
        """The environment, for a privileged agent.

        Raises:
            UserError: none was given.
        """
        if self.env is None:
            raise UserError("A privileged agent reads the simulator's own numbers: pass env=, an unwrapped SimEnv.")
        return self.env


@dataclass(frozen=True)
class AgentSpec:
    """An agent.

    Attributes:
        name: as on the command line.
        about: what it is, for help texts.
        make: makes one.
        learned: whether it acts with a checkpoint.
        ours: whether that checkpoint is of this project's making: it has a card, and computes on any device.
        planning: whether it has a planner.
        differentiable: whether what it imagines has gradients.
        calibrated: whether it takes a calibration of the camera.
        privileged: whether it is given the environment: an upper bound in tables, nothing for a robot.
        reference: whether it stands beside others in tables, as an upper or a lower bound.
        checkpoint: what it acts with if nothing is named; None if something must be.
        check_task: raises a :class:`.UserError` for the name of a task that it can't do.
    """

    name: str
    about: str
    make: Callable[[AgentSetup], Agent]
    learned: bool = False
    ours: bool = False
    planning: bool = False
    differentiable: bool = True
    calibrated: bool = False
    privileged: bool = False
    reference: bool = False
    checkpoint: str | None = None
    check_task: Callable[[str], object] = lambda task: None


AGENTS: Registry[AgentSpec] = Registry("agent")


def checkpoint_of(agent: str, named: str | None = None) -> str | None:
    """What an agent acts with.

    Args:
        agent: name of one of :data:`AGENTS`.
        named: a bundled name, a folder, or what the agent's package loads.

    Returns:
        What is named, or else what is bundled for this agent; None for one that has learned nothing.

    Raises:
        UserError: nothing is named for an agent whose weights aren't bundled, or something for one that has learned
            nothing.
    """
    spec = AGENTS[agent]
    if not spec.learned:
        if named is not None:
            raise UserError(f"Checkpoint {named!r}: agent {agent!r} has learned nothing. Leave out --checkpoint.")
        return None
    if named is None and spec.checkpoint is None:
        raise UserError(f"Agent {agent!r} has no bundled weights: say with --checkpoint where they are.")
    return spec.checkpoint if named is None else named


def check_view(agent: str, view: object | None) -> None:
    """Raise a :class:`.UserError` for a calibration of the camera that is given to an agent without use for it."""
    if view is not None and not AGENTS[agent].calibrated:
        takers = ", ".join(name for name, spec in AGENTS.items() if spec.calibrated)
        raise UserError(
            f"--view turns what a world model plans; agent {agent!r} has none that it was calibrated with. Leave it "
            f"out, or take {takers}."
        )


def load_agent(
    name: str,
    checkpoint: str | None = None,
    *,
    seed: int = 0,
    limits: SafetyLimits | None = None,
    planner: str = "default",
    view: ViewCalibration | None = None,
    env: SimEnv | None = None,
) -> Agent:
    """Make an agent.

    Args:
        name: name of one of :data:`AGENTS`.
        checkpoint: see :func:`checkpoint_of`.
        seed: random seed of the agent's own.
        limits: the arm's step limits; None for the defaults.
        planner: for agents that plan: see :func:`.planner_for`.
        view: for ``mpc``: the calibration of the camera for this checkpoint, see :func:`.load_view`.
        env: for privileged agents only: the environment whose numbers they read. No other agent is ever given one.

    Raises:
        UserError: there is no such agent, it doesn't take what is given, or its checkpoint can't be loaded.
    """
    spec = AGENTS[name]
    checkpoint = checkpoint_of(name, checkpoint)
    check_view(name, view)
    if spec.privileged and env is None:
        raise UserError(f"Agent {name!r} reads the simulator's own numbers: pass env=, an unwrapped SimEnv.")
    shown = env if spec.privileged else None
    return spec.make(AgentSetup(checkpoint, seed, limits or SafetyLimits(), planner, view, shown))


# --- those that ship with the project; each is imported when it is made -------------------------------------------


def _plan_with(setup: AgentSetup, name: str, model: LatentDynamics) -> Agent:
    """Model-predictive control with a model."""
    from vjepa_sim.agents.planning.mpc import MPCAgent
    from vjepa_sim.agents.planning.presets import check_planner, planner_for

    config = planner_for(model, setup.planner)
    check_planner(name, setup.planner, config)
    angle = None if setup.view is None else setup.view.angle
    return MPCAgent(model, replace(config, view_angle=angle), setup.limits, setup.seed)


def _mpc(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.planning.presets import check_planner
    from vjepa_sim.registry import load_world_model

    check_planner("mpc", setup.planner)
    return _plan_with(setup, "mpc", load_world_model(setup.checkpoint))


def _oracle(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.planning.presets import check_planner
    from vjepa_sim.agents.policies.oracle import TrueWorld
    from vjepa_sim.world_model import WorldModel

    check_planner("oracle", setup.planner)
    model = WorldModel.from_pretrained(setup.checkpoint)
    return _plan_with(setup, "oracle", TrueWorld(model, setup.privileged_env()))


def _cosmos(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.planning.presets import check_planner
    from vjepa_sim.agents.policies.cosmos import CosmosWorld

    check_planner("cosmos", setup.planner)
    return _plan_with(setup, "cosmos", CosmosWorld(setup.checkpoint))


def _bc(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.cloning import CloningAgent
    from vjepa_sim.baselines.cloning import Policy

    try:
        policy = Policy.from_pretrained(setup.checkpoint)
    except UserError as error:
        raise UserError(
            f"{error} Agent 'bc' acts by a policy that `vjepa-sim baseline bc` has trained; world models act without "
            "--agent bc."
        ) from error
    return CloningAgent(policy, setup.limits, setup.seed)


def _octo(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.octo import OctoAgent

    return OctoAgent(setup.checkpoint, setup.limits, setup.seed)


def _expert(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.expert import Expert

    return Expert(setup.privileged_env())


def _check_skill(task: str) -> None:
    from vjepa_sim.agents.policies.expert import skill_for

    skill_for(task)


def _random(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.trivial import RandomAgent

    return RandomAgent(setup.limits, setup.seed)


def _still(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.trivial import StillAgent

    return StillAgent()


for _spec in (
    AgentSpec(
        "mpc",
        "plans with a world model",
        _mpc,
        learned=True,
        ours=True,
        planning=True,
        calibrated=True,
        checkpoint="tiny",
    ),
    AgentSpec("bc", "a cloned policy", _bc, learned=True, ours=True, checkpoint="bc"),
    AgentSpec("octo", "a released Octo policy", _octo, learned=True),
    AgentSpec(
        "cosmos", "plans with a released Cosmos video model", _cosmos, learned=True, planning=True, differentiable=False
    ),
    AgentSpec(
        "oracle",
        "mpc that imagines with the simulator itself",
        _oracle,
        learned=True,
        ours=True,
        planning=True,
        differentiable=False,
        privileged=True,
        checkpoint="tiny",
    ),
    AgentSpec(
        "expert",
        "scripted, privileged: the upper bound",
        _expert,
        privileged=True,
        reference=True,
        check_task=_check_skill,
    ),
    AgentSpec("random", "uniform actions: a lower bound", _random, reference=True),
    AgentSpec("still", "zero actions: a lower bound", _still, reference=True),
):
    AGENTS.register(_spec)
