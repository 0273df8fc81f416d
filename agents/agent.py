"""The contract of everything that acts, and how to get one by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from envs.errors import UserError, unknown_name
from envs.observation import Goal, Observation
from envs.safety import SafetyLimits

if TYPE_CHECKING:
    from agents.cosmos import CosmosWorld
    from agents.view import ViewCalibration
    from envs.franka_env import FrankaEnv
    from vjepa_sim.world_model import WorldModel

AGENTS = ("mpc", "bc", "octo", "cosmos", "oracle", "expert", "random", "still")
LEARNED = ("mpc", "bc", "octo", "cosmos", "oracle")  # those with a checkpoint
OURS = ("mpc", "bc", "oracle")  # those whose checkpoint is of this project's making
PLANNING = ("mpc", "cosmos", "oracle")  # those with a planner
TRUTH = ("oracle", "expert")  # those that are given the environment: ceilings, nothing for a robot
DEFAULT_CHECKPOINTS = {"mpc": "tiny", "bc": "bc", "oracle": "tiny"}  # what they act with if no checkpoint is named


class Agent(Protocol):
    """Images, the arm's own state and goal images in; actions out.

    Attributes:
        model_evaluations: predictor evaluations behind the last action, one per sample and imagined step.
        current_goal: number of the goal that the last action was toward.
    """

    model_evaluations: int
    current_goal: int

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode with these goals, in order."""

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""


def checkpoint_of(agent: str, named: str | None = None) -> str | None:
    """What an agent acts with.

    Args:
        agent: of :data:`AGENTS`.
        named: for ``mpc``, ``bc`` and ``oracle`` a bundled name or a folder; for ``octo`` and ``cosmos`` what their
            packages load.

    Returns:
        What is named, or else what is bundled for this agent; None for one that has learned nothing.

    Raises:
        UserError: nothing is named for an agent whose weights aren't bundled, or something for one that has learned
            nothing.
    """
    if agent not in AGENTS:
        raise unknown_name("agent", agent, AGENTS)
    if agent not in LEARNED:
        if named is not None:
            raise UserError(f"Checkpoint {named!r}: agent {agent!r} has learned nothing. Leave out --checkpoint.")
        return None
    if named is None and agent not in DEFAULT_CHECKPOINTS:
        raise UserError(f"Agent {agent!r} has no bundled weights: say with --checkpoint where they are.")
    return DEFAULT_CHECKPOINTS[agent] if named is None else named


def check_view(agent: str, view: object | None) -> None:
    """Raise a :class:`UserError` for a calibration of the camera that is given to an agent without use for it."""
    if view is not None and agent != "mpc":
        raise UserError(
            f"--view turns what a world model plans; agent {agent!r} has none that it was calibrated with. Leave it "
            "out, or take mpc."
        )


def load_agent(
    name: str,
    checkpoint: str | None = None,
    seed: int = 0,
    limits: SafetyLimits | None = None,
    env: FrankaEnv | None = None,
    view: ViewCalibration | None = None,
    planner: str = "default",
) -> Agent:
    """Make an agent.

    Args:
        name: ``mpc`` (plans with a world model), ``bc`` (a cloned policy, see :mod:`agents.cloning`), ``octo``
            (a released one, see :mod:`agents.octo`), ``cosmos`` (``mpc`` with a released video model, see
            :mod:`agents.cosmos`), ``oracle`` (``mpc`` whose imagination is the simulator), ``expert`` (scripted, reads
            the simulator's truth), ``random`` or ``still``.
        checkpoint: see :func:`checkpoint_of`.
        seed: of the agent's own randomness.
        limits: the arm's step limits; None for the defaults.
        env: for ``expert`` and ``oracle`` only: the environment whose truth they read. No other agent is ever given
            one.
        view: for ``mpc``: what was found out about the camera with this checkpoint, see :func:`agents.view.load_view`.
        planner: for ``mpc``, ``cosmos`` and ``oracle``: see :func:`agents.planners.planner_for`.
    """
    checkpoint = checkpoint_of(name, checkpoint)
    if name in TRUTH and env is None:
        raise UserError(f"Agent {name!r} reads the simulator's truth: pass env=, an unwrapped FrankaEnv.")
    check_view(name, view)
    if name in PLANNING:
        from agents.mpc import MPCAgent
        from agents.planners import check_planner, planner_for

        check_planner(name, planner)
        model = _load_model(name, checkpoint, env)
        config = planner_for(model, planner)
        check_planner(name, planner, config)
        return MPCAgent(model, replace(config, view_angle=None if view is None else view.angle), limits, seed)
    if name == "bc":
        from agents.cloning import CloningAgent, Policy

        try:
            policy = Policy.from_pretrained(checkpoint)
        except UserError as error:
            raise UserError(
                f"{error} Agent 'bc' acts by a policy that `vjepa-sim baseline bc` has trained; world models act "
                "without --agent bc."
            ) from error
        return CloningAgent(policy, limits, seed)
    if name == "octo":
        from agents.octo import OctoAgent

        return OctoAgent(checkpoint, limits, seed)
    if name == "random":
        from agents.baselines import RandomAgent

        return RandomAgent(limits, seed)
    if name == "still":
        from agents.baselines import StillAgent

        return StillAgent()
    from agents.expert import Expert

    return Expert(env)


def _load_model(name: str, checkpoint: str | None, env: FrankaEnv | None) -> WorldModel | CosmosWorld:
    """What a planning agent imagines with."""
    if name == "cosmos":
        from agents.cosmos import CosmosWorld

        return CosmosWorld(checkpoint)
    from vjepa_sim.world_model import WorldModel

    model = WorldModel.from_pretrained(checkpoint)
    if name == "oracle":
        from agents.oracle import TrueWorld

        return TrueWorld(model, env)
    return model
