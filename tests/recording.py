"""Record episodes in the simulator, for tests that need some."""

from vjepa_sim.agents.collection.behaviors import Behavior
from vjepa_sim.agents.rollout import rollout
from vjepa_sim.data.episode_builder import SimEpisodeBuilder


def record(env, act, steps, behavior, seed=None, details=None, cameras=("left",)):
    """Let a policy act for some steps from where a freshly reset environment is; returns the episode."""
    acting, builder = Behavior(act), SimEpisodeBuilder(env, cameras)
    builder.add_row({"is_success": False})
    rollout(env, acting, lambda step: builder.add_row(step.info, acting.meant), steps)
    return builder.build(success=builder.success_ever, behavior=behavior, seed=seed, details=details)
