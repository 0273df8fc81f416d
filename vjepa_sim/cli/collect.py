"""``vjepa-sim collect``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from envs.errors import UserError
from vjepa_sim.cli.options import choose, refuse_unused
from vjepa_sim.cli.progress import progress


@dataclass(frozen=True)
class Collect:
    """Collect labelled episodes in DROID's raw layout. A stopped run continues with the same command.

    Attributes:
        out: folder.
        episodes: how many in all.
        seed: 0 to 2146; equal seeds give equal episodes, never those of eval.
        task: reach, grasp, reach-with-object, pick-and-place, several with commas between, or all.
        object: cup, box, or all.
        size: image height and width in pixels.
        steps: control steps (0.25 s) per episode, at most; an expert's ends soon after it has succeeded.
        randomize: largest strength of domain randomisation, 0 to 1; half of the episodes keep the nominal look.
        gripper: robotiq or panda_hand.
        mix: behaviours and their shares, such as expert=0.5,random=0.5; expert, noisy-expert, explore, random, planner
            (needs --checkpoint); expert=0.15,noisy-expert=0.4,explore=0.35,random=0.1 if not given.
        cameras: left, or left,right,wrist (several with commas between), or all.
        checkpoint: of the agent that acts where the mix says planner; the expert mends what it leaves, and tells all
            along what it would have done.
        agent: that acts there: mpc, or bc for a cloned policy.
        planner: how mpc plans, as in eval; policy is quickest.
        workers: parallel processes; 0 is one per core.
    """

    out: Path
    episodes: int
    seed: int = 0
    task: str = "all"
    object: str = "all"
    size: int = 128
    steps: int = 24
    randomize: float = 0.3
    gripper: str = "robotiq"
    mix: str | None = None
    cameras: str = "left"
    checkpoint: str | None = None
    agent: str = "mpc"
    planner: str = "policy"
    workers: int = 0

    def run(self) -> int:
        import os

        from agents.agent import PLANNING
        from agents.behaviors import DEFAULT_MIX
        from agents.collect import CollectConfig, collect
        from envs.scene.names import CAMERAS, OBJECTS
        from envs.tasks import TASKS

        if self.agent not in PLANNING:
            refuse_unused(self, ("planner",), f"with --agent {self.agent}, which plans nothing")
        config = CollectConfig(
            episodes=self.episodes,
            seed=self.seed,
            tasks=choose(self.task, tuple(TASKS)),
            objects=choose(self.object, OBJECTS),
            size=self.size,
            steps=self.steps,
            randomize=self.randomize,
            gripper=self.gripper,
            mix=dict(DEFAULT_MIX) if self.mix is None else _parse_mix(self.mix),
            cameras=choose(self.cameras, CAMERAS),
            checkpoint=self.checkpoint,
            agent=self.agent,
            planner=self.planner,
        )
        started = time.monotonic()
        with progress("collecting") as bar:
            result = collect(self.out, config, self.workers or os.cpu_count() or 1, bar)
        for name, count in sorted(result.behaviors.items()):
            print(f"{name}: {count} episodes, {result.successes[name]} solved their task")
        rate = result.frames / (time.monotonic() - started)
        print(f"{result.present} episodes lie in {self.out} ({result.written} new, {rate:.0f} frames/s).")
        return 0


def _parse_mix(text: str) -> dict[str, float]:
    mix = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            mix[name.strip()] = float(share)
        except ValueError:
            raise UserError(f"--mix {text!r}: expected NAME=SHARE,NAME=SHARE; {part!r} is not of that form.") from None
    return mix
