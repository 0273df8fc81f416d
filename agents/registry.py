"""Registry of agents, and :func:`load_agent`, which makes one by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Annotated

from vjepa_sim.agents.agent import Agent
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.options import OneOf, described
from vjepa_sim.envs.part_checks import check_fields
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.safety import SafetyLimits

if TYPE_CHECKING:
    from vjepa_sim.agents.calibration.calibration import ViewCalibration
    from vjepa_sim.agents.planning.mpc import MPCConfig
    from vjepa_sim.envs.sim_env import SimEnv
    from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True, kw_only=True)
class AgentSetup:
    """Arguments of an agent's constructor.

    Attributes:
        checkpoint: bundled name, folder or file of the checkpoint; None for an agent without one.
        seed: random seed of the agent.
        limits: safety limits of the arm; actions stay within its step limits.
        planner: name of one of :data:`.PLANNERS`, for an agent that plans.
        view: calibration of the camera for this checkpoint, for an agent that uses one.
        env: the environment, for privileged agents only.
    """

    checkpoint: str | None
    seed: int
    limits: SafetyLimits
    planner: str
    view: ViewCalibration | None
    env: SimEnv | None

    def privileged_env(self) -> SimEnv:
        """The environment of a privileged agent.

        Raises:
            UserError: no environment was given.
        """
        if self.env is None:
            raise UserError("A privileged agent reads the simulator's state: pass env=, an unwrapped SimEnv.")
        return self.env

    def required_checkpoint(self) -> str:
        """The checkpoint of an agent that needs one.

        Raises:
            UserError: no checkpoint was given.
        """
        if self.checkpoint is None:
            raise UserError("This agent needs a checkpoint: pass checkpoint=, a bundled name or a folder.")
        return self.checkpoint


@dataclass(frozen=True)
class AgentSpec:
    """A kind of agent.

    Attributes:
        name: name on the command line.
        about: short description for help texts.
        make: makes the agent.
        learned: whether it has a checkpoint.
        ours: whether the checkpoint is in this project's format: it has a card and runs on any device.
        planning: whether it has a planner.
        differentiable: whether its rollouts have gradients with respect to the actions.
        calibrated: whether it uses a calibration of the camera.
        privileged: whether it is given the simulator's state; an upper bound in tables, and not for robots.
        reference: whether it is a reference policy, an upper or lower bound in tables.
        checkpoint: default checkpoint; None if there is none.
        check_task: raises :class:`.UserError` for the name of a task that the agent does not support.
    """

    name: str
    about: str
    make: Callable[[AgentSetup], Agent]
    _: KW_ONLY
    learned: bool = False
    ours: bool = False
    planning: bool = False
    differentiable: bool = True
    calibrated: bool = False
    privileged: bool = False
    reference: bool = False
    checkpoint: str | None = None
    check_task: Callable[[str], object] = lambda task: None


def _check_agent(spec: AgentSpec) -> None:
    check_fields(
        "agent",
        spec,
        (
            ("about", isinstance(spec.about, str), "a short description"),
            ("make", callable(spec.make), "a function that makes the agent"),
            ("check_task", callable(spec.check_task), "a function"),
        ),
    )


AGENTS: Registry[AgentSpec] = Registry("agent", AgentSpec, _check_agent)
DEFAULT_PLANNER = "default"
MEMBERS = ("begin", "act", "model_evaluations", "current_goal")  # of an agent

# Types of configuration fields; planners are imported only when needed, as they need PyTorch.
_PLANNERS = "vjepa_sim.agents.planning.presets:PLANNERS"
AgentName = Annotated[str, OneOf(AGENTS), described(AGENTS)]
PlannerName = Annotated[str, OneOf(_PLANNERS), described(_PLANNERS)]


def reference_policies() -> tuple[str, ...]:
    """Names of the reference policies, in the order of tables."""
    return tuple(name for name, spec in AGENTS.items() if spec.reference)


def checkpoint_of(agent: str, named: str | None = None) -> str | None:
    """The checkpoint of an agent.

    Args:
        agent: name of one of :data:`AGENTS`.
        named: bundled name, folder, or whatever the agent's package loads; None for the default.

    Returns:
        ``named``, or else the agent's default; None for an agent without a checkpoint.

    Raises:
        UserError: none is named and the agent has no default, or one is named and the agent takes none.
    """
    spec = AGENTS[agent]
    if not spec.learned:
        if named is not None:
            raise UserError(f"Checkpoint {named!r}: agent {agent!r} takes no checkpoint. Leave out --checkpoint.")
        return None
    if named is None and spec.checkpoint is None:
        raise UserError(f"Agent {agent!r} has no bundled weights: give --checkpoint.")
    return spec.checkpoint if named is None else named


def check_view(agent: str, view: object | None) -> None:
    """Raise :class:`.UserError` if a calibration of the camera is given to an agent that does not use one."""
    if view is not None and not AGENTS[agent].calibrated:
        takers = ", ".join(name for name, spec in AGENTS.items() if spec.calibrated)
        raise UserError(
            f"--view rotates the actions that a calibrated world model plans; agent {agent!r} does not use it. Leave "
            f"it out, or choose {takers}."
        )


def check_planner(agent: str, planner: str, config: MPCConfig | None = None) -> None:
    """Refuse a planner that an agent does not support.

    Args:
        agent: name of one of :data:`AGENTS`.
        planner: name of one of :data:`.PLANNERS`.
        config: settings resolved for the agent's model, see :func:`.planner_for`; None before the model is loaded.

    Raises:
        UserError: there is no such planner, the agent has no planner, or it lacks what the planner needs.
    """
    spec = AGENTS[agent]
    if not spec.planning:
        if planner != DEFAULT_PLANNER:
            raise UserError(f"--planner: no effect with --agent {agent}, which has no planner. Leave it out.")
        return
    from vjepa_sim.agents.planning.presets import PLANNERS

    config = config or PLANNERS[planner].config
    if config.gradient and not spec.differentiable:
        raise UserError(
            f"Planner {planner!r} needs gradients, which the rollouts of agent {agent!r} lack. Choose another planner."
        )
    if spec.privileged and not config.search:
        raise UserError(
            f"Planner {planner!r} does not search, so agent {agent!r} would never use the simulator. Choose another "
            "planner."
        )


def load_agent(
    name: str,
    checkpoint: str | None = None,
    *,
    seed: int = 0,
    limits: SafetyLimits | None = None,
    planner: str = DEFAULT_PLANNER,
    view: ViewCalibration | None = None,
    env: SimEnv | None = None,
) -> Agent:
    """Make an agent.

    Args:
        name: name of one of :data:`AGENTS`.
        checkpoint: see :func:`checkpoint_of`.
        seed: random seed of the agent.
        limits: safety limits of the arm; None for the defaults.
        planner: planner of an agent that plans, see :func:`.planner_for`.
        view: calibration of the camera for this checkpoint, see :func:`.load_view`; for calibrated agents only.
        env: environment whose state a privileged agent reads; other agents are never given it.

    Raises:
        UserError: there is no such agent, it does not take an argument that is given, or its checkpoint can't be
            loaded.
    """
    spec = AGENTS[name]
    checkpoint = checkpoint_of(name, checkpoint)
    check_planner(name, planner)
    check_view(name, view)
    if spec.privileged and env is None:
        raise UserError(f"Agent {name!r} reads the simulator's state: pass env=, an unwrapped SimEnv.")
    shown = env if spec.privileged else None
    setup = AgentSetup(
        checkpoint=checkpoint, seed=seed, limits=limits or SafetyLimits(), planner=planner, view=view, env=shown
    )
    with naming_part(f"Agent {name!r}", spec.make):
        agent = spec.make(setup)
    missing = [member for member in MEMBERS if not hasattr(agent, member)]
    if missing:
        raise UserError(
            f"Agent {name!r}: its {type(agent).__name__} lacks {', '.join(missing)}; see docs/extending.md."
        )
    return agent


# --- agents of the project, each imported when it is made -------------------------------------------


def _plan_with(setup: AgentSetup, name: str, model: LatentDynamics) -> Agent:
    """Model-predictive control with a world model."""
    from vjepa_sim.agents.planning.mpc import MPCAgent
    from vjepa_sim.agents.planning.presets import planner_for

    config = planner_for(model, setup.planner)
    check_planner(name, setup.planner, config)
    angle = None if setup.view is None else setup.view.angle
    return MPCAgent(model, replace(config, view_angle=angle), setup.limits, setup.seed)


def _mpc(setup: AgentSetup) -> Agent:
    from vjepa_sim.registry import load_world_model

    return _plan_with(setup, "mpc", load_world_model(setup.required_checkpoint()))


def _oracle(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.oracle import SimulatedRollouts
    from vjepa_sim.registry import load_world_model

    model = load_world_model(setup.required_checkpoint())
    return _plan_with(setup, "oracle", SimulatedRollouts(model, setup.privileged_env()))


def _cosmos(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.cosmos import CosmosWorld

    return _plan_with(setup, "cosmos", CosmosWorld(setup.required_checkpoint()))


def _bc(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.cloning import CloningAgent
    from vjepa_sim.baselines.cloned_policy import Policy

    try:
        policy = Policy.from_pretrained(setup.required_checkpoint())
    except UserError as error:
        raise UserError(
            f"{error} Agent 'bc' needs a policy that `vjepa-sim baseline bc` has trained; leave out --agent bc for a "
            "world model."
        ) from error
    return CloningAgent(policy, setup.limits, setup.seed)


def _octo(setup: AgentSetup) -> Agent:
    from vjepa_sim.agents.policies.octo import OctoAgent

    return OctoAgent(setup.required_checkpoint(), setup.limits, setup.seed)


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
        "mpc with the simulator in place of the model's predictor: an upper bound",
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
        "scripted and privileged: an upper bound",
        _expert,
        privileged=True,
        reference=True,
        check_task=_check_skill,
    ),
    AgentSpec("random", "uniform actions: a lower bound", _random, reference=True),
    AgentSpec("still", "zero actions: a lower bound", _still, reference=True),
):
    AGENTS.register(_spec)
