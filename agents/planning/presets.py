"""Planners by name: ways to plan, each lever of the default on or off."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vjepa_sim.agents.planning.cem import CEMConfig
from vjepa_sim.agents.planning.energy import Weights
from vjepa_sim.agents.planning.mpc import DEFAULT_WEIGHTS, MPCConfig
from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True)
class PlannerSpec:
    """A way to plan.

    Attributes:
        name: as on the command line.
        config: its settings.
        about: what it is, for help texts.
    """

    name: str
    config: MPCConfig
    about: str = ""


PLANNERS: Registry[PlannerSpec] = Registry("planner")


def without(weights: Weights, *terms: str) -> Weights:
    """An energy's weights without some terms."""
    return {name: weight for name, weight in weights.items() if name not in terms}


DEFAULT = MPCConfig()

# Begun at standing still rather than at a proposal, a search has farther to go.
WIDE = CEMConfig(samples=96, elites=8, iterations=3, initial_std=1.0)
UNGUIDED = replace(DEFAULT, guided=False, cem=WIDE, energy=without(DEFAULT_WEIGHTS, "steps", "proposal"))

# DINO-WM's and LeWM's energy; and a search of theirs, several steps ahead.
LATENT = replace(UNGUIDED, energy={"squared-features": 1.0}, reached=0.0)
FAR = CEMConfig(samples=300, elites=30, iterations=10, horizon=3, initial_std=1.0, min_std=0.0, momentum=0.0)

# V-JEPA 2-AC's own (arXiv 2506.09985, section 4.2): distance of features, one step ahead, no rotation; mean and
# deviations keep 0.15 of their old values; sub-goals are changed by the clock.
REFERENCE = MPCConfig(
    cem=CEMConfig(samples=800, elites=10, iterations=10, horizon=1, initial_std=1.0, min_std=0.0, momentum=0.15),
    energy={"features": 1.0},
    guided=False,
    searched=(0, 1, 2, 6),
    release_share=1.0,
    reached=0.0,
    correct_view=False,
)


def _levers(base: MPCConfig) -> dict[str, MPCConfig]:
    """A way to plan, with one thing left out of it each."""
    terms = [name for name, weight in base.energy.items() if weight and base.search]
    return {
        "timed": replace(base, reached=0.0),
        "uncorrected": replace(base, correct_view=False),
        **{f"no-{name}": replace(base, energy=without(base.energy, name)) for name in terms},
    }


for _spec in (
    PlannerSpec("default", DEFAULT, "searches near what the goal policy proposes"),
    PlannerSpec("reference", REFERENCE, "V-JEPA 2-AC's own"),
    PlannerSpec(
        "generated", replace(REFERENCE, cem=replace(REFERENCE.cem, samples=80)), "the paper's for its video model"
    ),
    PlannerSpec("policy", replace(DEFAULT, search=False), "the goal policy alone, without a search"),
    PlannerSpec("unguided", UNGUIDED, "a search without the goal policy"),
    PlannerSpec("latent", LATENT, "distances of features alone"),
    PlannerSpec("lookahead", replace(LATENT, cem=FAR), "the same, three steps ahead"),
    PlannerSpec("pixels", replace(LATENT, energy={"pixels": 1.0}), "distances of images alone"),
    PlannerSpec(
        "gradient",
        replace(UNGUIDED, cem=replace(WIDE, iterations=1), gradient=18),
        "a search without the goal policy, improved by gradients",
    ),
    *(PlannerSpec(name, config, "the default without one lever") for name, config in _levers(DEFAULT).items()),
):
    PLANNERS.register(_spec)


def check_planner(agent: str, name: str, config: MPCConfig | None = None) -> None:
    """Refuse a planner that an agent has no use for.

    Args:
        agent: name of one of :data:`.AGENTS`.
        name: name of one of :data:`PLANNERS`.
        config: what the name means for the agent's model, if that is known by now.

    Raises:
        UserError: no planner has this name, or what it needs is what this agent hasn't.
    """
    planner, spec = config or PLANNERS[name].config, AGENTS[agent]
    if planner.gradient and not spec.differentiable:
        raise UserError(
            f"Planner {name!r} needs gradients, and agent {agent!r} imagines without any. Choose another planner."
        )
    if spec.privileged and not planner.search:
        raise UserError(
            f"Planner {name!r} searches nothing, so agent {agent!r} would never ask the simulator. Choose another "
            "planner."
        )


def planner_for(model: LatentDynamics, name: str) -> MPCConfig:
    """What a name means for a model: the default of one without a goal policy is ``unguided``, of an inverse model
    ``policy``; what is left out of the default is left out of that.

    Args:
        model: that plans.
        name: name of one of :data:`PLANNERS`.

    Raises:
        UserError: no planner has this name, or it leaves out what this model's default hasn't.
    """
    config, default = PLANNERS[name].config, "default"
    if model.goal_policy is None:
        default = "unguided"
    elif model.goal_policy.config.inverse:
        default = "policy"
    if name == "default":
        return PLANNERS[default].config
    if name not in _levers(DEFAULT):
        return config
    levers = _levers(PLANNERS[default].config)
    if name not in levers:
        raise UserError(
            f"Planner {name!r} leaves out what the planner of checkpoint {model.card.name!r}, {default!r}, hasn't. "
            f"Of that can be left out: {', '.join(levers)}."
        )
    return levers[name]
