"""Registry of planners: named settings of :class:`.MPCAgent`, and ablations of the default."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vjepa_sim.agents.planning.cem import CEMConfig
from vjepa_sim.agents.planning.energy import Weights
from vjepa_sim.agents.planning.mpc import DEFAULT_WEIGHTS, MPCConfig
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True)
class PlannerSpec:
    """Named settings of the planner.

    Attributes:
        name: name on the command line.
        config: settings.
        about: short description for help texts.
    """

    name: str
    config: MPCConfig
    about: str = ""


PLANNERS: Registry[PlannerSpec] = Registry("planner", PlannerSpec)


def without(weights: Weights, *terms: str) -> Weights:
    """Weights of an energy without some of its terms."""
    return {name: weight for name, weight in weights.items() if name not in terms}


DEFAULT = MPCConfig()

# A search that starts from zero actions instead of a proposal needs a wider distribution.
WIDE = CEMConfig(samples=96, elites=8, iterations=3, initial_std=1.0)
UNGUIDED = replace(DEFAULT, guided=False, cem=WIDE, energy=without(DEFAULT_WEIGHTS, "steps", "proposal"))

# The energy of DINO-WM and LeWM, and their search several steps ahead.
LATENT = replace(UNGUIDED, energy={"squared-features": 1.0}, reached=0.0)
FAR = CEMConfig(samples=300, elites=30, iterations=10, horizon=3, initial_std=1.0, min_std=0.0, momentum=0.0)

# V-JEPA 2-AC's planner (arXiv 2506.09985, section 4.2): distance of features, one step ahead, no rotation,
# momentum 0.15; each sub-goal lasts its number of steps.
REFERENCE = MPCConfig(
    cem=CEMConfig(samples=800, elites=10, iterations=10, horizon=1, initial_std=1.0, min_std=0.0, momentum=0.15),
    energy={"features": 1.0},
    guided=False,
    searched=(0, 1, 2, 6),
    release_share=1.0,
    reached=0.0,
    correct_view=False,
)


def _ablations(base: MPCConfig) -> dict[str, MPCConfig]:
    """Ablations: the planner with one component left out each."""
    terms = [name for name, weight in base.energy.items() if weight and base.search]
    return {
        "timed": replace(base, reached=0.0),
        "uncorrected": replace(base, correct_view=False),
        **{f"no-{name}": replace(base, energy=without(base.energy, name)) for name in terms},
    }


for _spec in (
    PlannerSpec("default", DEFAULT, "searches around the goal policy's proposal"),
    PlannerSpec("reference", REFERENCE, "V-JEPA 2-AC's"),
    PlannerSpec(
        "generated", replace(REFERENCE, cem=replace(REFERENCE.cem, samples=80)), "V-JEPA 2's for its video model Cosmos"
    ),
    PlannerSpec("policy", replace(DEFAULT, search=False), "the goal policy alone, without a search"),
    PlannerSpec("unguided", UNGUIDED, "a search without the goal policy"),
    PlannerSpec("latent", LATENT, "distance of features only"),
    PlannerSpec("lookahead", replace(LATENT, cem=FAR), "distance of features only, three steps ahead"),
    PlannerSpec("pixels", replace(LATENT, energy={"pixels": 1.0}), "distance of images only"),
    PlannerSpec(
        "gradient",
        replace(UNGUIDED, cem=replace(WIDE, iterations=1), gradient=18),
        "a search without the goal policy, improved by gradients",
    ),
    *(PlannerSpec(name, config) for name, config in _ablations(DEFAULT).items()),
):
    PLANNERS.register(_spec)


def planner_for(model: LatentDynamics, name: str) -> MPCConfig:
    """Settings of a planner for a model.

    ``default`` is ``unguided`` for a model without a goal policy, and ``policy`` for an inverse model. Ablations apply
    to the model's default.

    Args:
        model: world model to plan with.
        name: name of one of :data:`PLANNERS`.

    Raises:
        UserError: there is no such planner, or it leaves out a component that the model's default does not have.
    """
    config, default = PLANNERS[name].config, "default"
    if model.goal_policy is None:
        default = "unguided"
    elif model.goal_policy.config.inverse:
        default = "policy"
    if name == "default":
        return PLANNERS[default].config
    if name not in _ablations(DEFAULT):
        return config
    ablations = _ablations(PLANNERS[default].config)
    if name not in ablations:
        raise UserError(
            f"Planner {name!r} leaves out a component that {default!r}, the default planner of checkpoint "
            f"{model.card.name!r}, does not have. Choose one of: {', '.join(ablations)}."
        )
    return ablations[name]
