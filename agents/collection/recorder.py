"""Recording of single episodes of a collection."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vjepa_sim.agents.agent import Agent
from vjepa_sim.agents.collection.behaviors import BEHAVIORS, Behavior
from vjepa_sim.agents.collection.config import CollectConfig
from vjepa_sim.agents.registry import load_agent
from vjepa_sim.agents.rollout import Step, rollout
from vjepa_sim.data.episode_builder import SimEpisodeBuilder
from vjepa_sim.data.formats.droid import write_episode
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.safety import default_limits
from vjepa_sim.envs.seeds import training_seed
from vjepa_sim.envs.sim_env import SimEnv


@dataclass(frozen=True)
class Recorded:
    """A recorded episode.

    Attributes:
        behavior: name of its behavior.
        success: whether the task was solved at any moment.
        frames: number of its frames.
    """

    behavior: str
    success: bool
    frames: int


class Recorder:
    """Environments and agent of a collection, loaded when they are first needed and kept until :meth:`close`."""

    def __init__(self, out: Path, config: CollectConfig):
        """
        Args:
            out: folder of the collection.
            config: settings of the collection.
        """
        self._out, self._config = out, config
        self._environments: dict[tuple[str, str], SimEnv] = {}
        self._agent: Agent | None = None
        self._threads: int | None = None

    def record(self, index: int) -> Recorded:
        """Record and write one episode.

        Args:
            index: number of the episode in the collection; it decides everything about it.
        """
        config = self._config
        seed = training_seed(config.seed, index)
        rng = np.random.default_rng([seed, 1])
        task, object_name = config.turn(index)
        names, shares = list(config.mix), np.array(list(config.mix.values()), float)
        name = str(rng.choice(names, p=shares / shares.sum()))
        strength = config.randomize * max(0.0, 2 * rng.random() - 1)

        env = self._environment(task, object_name)
        _, info = env.reset(seed=seed, options={"randomize": strength})
        spec = BEHAVIORS[name]
        with naming_part(f"Behavior {name!r}", spec.make):
            behavior = spec.make(env, rng, self._acting() if spec.needs_agent else None)
        if not isinstance(behavior, Behavior):
            raise UserError(f"make of behavior {name!r} returned {behavior!r:.80}; expected a Behavior.")
        builder = SimEpisodeBuilder(env, config.cameras)
        builder.add_row(info)

        def on_step(step: Step) -> bool:
            builder.add_row(step.info, behavior.meant)
            return behavior.finished()

        with suppress(ArmFault):  # the episode ends where the arm was stopped
            rollout(env, behavior, on_step, config.steps)
        details = {
            "task": task,
            "object": object_name,
            "randomize": strength,
            "arm": config.arm,
            "gripper": config.gripper,
        }
        episode = builder.build(success=builder.success_ever, behavior=name, seed=seed, details=details)
        write_episode(self._out, index, episode)
        return Recorded(name, builder.success_ever, len(episode))

    def close(self) -> None:
        """Close the environments."""
        for env in self._environments.values():
            env.close()
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)

    def _environment(self, task: str, object_name: str) -> SimEnv:
        config, pair = self._config, (task, object_name)
        if pair not in self._environments:
            self._environments[pair] = SimEnv(
                task, object_name, arm=config.arm, gripper=config.gripper, size=config.size
            )
        return self._environments[pair]

    def _acting(self) -> Agent:
        """The agent of behaviors that need one; it uses one core, as the others are for the other processes."""
        if self._agent is None:
            import torch

            config = self._config
            self._threads = torch.get_num_threads()
            torch.set_num_threads(1)
            limits = default_limits(config.arm, config.gripper)
            self._agent = load_agent(config.agent, config.checkpoint, limits=limits, planner=config.agent_planner)
        return self._agent
