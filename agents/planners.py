"""Named ways to plan, each lever of the default on or off."""

from __future__ import annotations

from dataclasses import replace

from agents.cem import CEMConfig
from agents.energy import EnergyConfig
from agents.mpc import MPCConfig
from envs.errors import UserError, unknown_name
from vjepa_sim.world_model import WorldModel

DEFAULT = MPCConfig()

# Begun at standing still rather than at a proposal, a search has farther to go.
WIDE = CEMConfig(samples=96, elites=8, iterations=3, initial_std=1.0)
UNGUIDED = replace(DEFAULT, guided=False, cem=WIDE, energy=replace(DEFAULT.energy, steps=0.0, proposal=0.0))

# Distances of features alone.
ALONE = EnergyConfig(features=1.0, hand=0.0, grip=0.0, object=0.0, steps=0.0, proposal=0.0)

# DINO-WM's and LeWM's energy; and a search of theirs, several steps ahead.
LATENT = replace(UNGUIDED, energy=replace(ALONE, squared=True), reached=0.0)
FAR = CEMConfig(samples=300, elites=30, iterations=10, horizon=3, initial_std=1.0, min_std=0.0, momentum=0.0)

# V-JEPA 2-AC's own (arXiv 2506.09985, section 4.2): distance of features, one step ahead, no rotation; mean and
# deviations keep 0.15 of their old values; sub-goals are changed by the clock.
REFERENCE = MPCConfig(
    cem=CEMConfig(samples=800, elites=10, iterations=10, horizon=1, initial_std=1.0, min_std=0.0, momentum=0.15),
    energy=ALONE,
    guided=False,
    searched=(0, 1, 2, 6),
    release_share=1.0,
    reached=0.0,
    correct_view=False,
)


def _levers(base: MPCConfig) -> dict[str, MPCConfig]:
    """A way to plan, with one thing left out of it each."""
    terms = [term for term, weight in vars(base.energy).items() if weight and base.search]
    return {
        "timed": replace(base, reached=0.0),
        "uncorrected": replace(base, correct_view=False),
        **{f"no-{term}": replace(base, energy=replace(base.energy, **{term: 0.0})) for term in terms},
    }


PLANNERS = {
    "default": DEFAULT,
    "reference": REFERENCE,
    "generated": replace(REFERENCE, cem=replace(REFERENCE.cem, samples=80)),
    "policy": replace(DEFAULT, search=False),
    "unguided": UNGUIDED,
    "latent": LATENT,
    "lookahead": replace(LATENT, cem=FAR),
    "pixels": replace(LATENT, energy=replace(ALONE, features=0.0, pixels=1.0)),
    "polished": replace(UNGUIDED, cem=replace(WIDE, iterations=1), polish=18),
    **_levers(DEFAULT),
}


def get_planner(name: str) -> MPCConfig:
    """Look up a planner.

    Args:
        name: one of :data:`PLANNERS`.

    Raises:
        UserError: no planner has this name.
    """
    if name not in PLANNERS:
        raise unknown_name("planner", name, PLANNERS)
    return PLANNERS[name]


def check_planner(agent: str, name: str, config: MPCConfig | None = None) -> None:
    """Refuse a planner that an agent has no use for.

    Args:
        agent: of :data:`agents.agent.AGENTS`.
        name: see :func:`get_planner`.
        config: what the name means for the agent's model, if that is known by now.

    Raises:
        UserError: no planner has this name, or what it needs is what this agent hasn't.
    """
    planner = config or get_planner(name)
    if agent in ("oracle", "cosmos") and planner.polish:
        raise UserError(
            f"Planner {name!r} needs gradients, and agent {agent!r} imagines without any. Choose another planner."
        )
    if agent == "oracle" and not planner.search:
        raise UserError(
            f"Planner {name!r} searches nothing, so agent 'oracle' would never ask the simulator. Choose another "
            "planner."
        )


def planner_for(model: WorldModel, name: str) -> MPCConfig:
    """What a name means for a model: the default of one without a goal policy is ``unguided``, of an inverse model
    ``policy``; what is left out of the default is left out of that.

    Args:
        model: that plans.
        name: see :func:`get_planner`.

    Raises:
        UserError: no planner has this name, or it leaves out what this model's default hasn't.
    """
    default = "default"
    if model.goal_policy is None:
        default = "unguided"
    elif model.goal_policy.config.inverse:
        default = "policy"
    if name == "default":
        return PLANNERS[default]
    if name not in _levers(DEFAULT):
        return get_planner(name)
    levers = _levers(PLANNERS[default])
    if name not in levers:
        raise UserError(
            f"Planner {name!r} leaves out what the planner of checkpoint {model.card.name!r}, {default!r}, hasn't. "
            f"Of that can be left out: {', '.join(levers)}."
        )
    return levers[name]
