"""``vjepa-sim eval``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.cli.options import choose, refuse_unused, set_threads
from vjepa_sim.cli.progress import progress


@dataclass(frozen=True)
class Eval:
    """Score an agent beside expert, random and still on the same held-out episodes. A stopped run continues with the
    same command.

    Attributes:
        out: a new folder for table.md, episodes.csv, eval_info.json and videos, or that of a stopped run.
        agent: mpc, bc (a cloned policy), octo and cosmos (released ones), oracle (mpc that imagines with the
            simulator), expert, random or still.
        baselines: scored beside it: expert, random, still, several with commas between, all, or none (enough where
            another run in compare has them).
        checkpoint: for mpc, bc and oracle: a bundled name or a folder (the bundled tiny or bc if not given), or a
            released .pt file; for octo and cosmos their own.
        planner: for mpc, cosmos and oracle: default, policy (no search), unguided (a search without the policy),
            polished (and down the gradient), reference (V-JEPA 2-AC's own), latent or lookahead (for dino-wm, lewm and
            video), generated or pixels (for video), timed (sub-goals by the clock alone), uncorrected (readings as they
            are), or no-TERM: default without one of its energy's terms, such as no-steps; docs/planning.md tells more.
        task: reach, grasp, reach-with-object, pick-and-place, several with commas between, or all.
        object: cup, box, or all.
        episodes: per task and object.
        seed: of the first episode.
        goals: paper (one goal image; three for pick and place) or dense (more sub-goal images).
        randomize: strength of domain randomisation, 0 to 1. The starts and goals of a seed stay the same.
        vary: what is randomised: camera, light, textures, color, size, distractors, several with commas between, or
            all.
        size: of the camera's images in pixels.
        gripper: robotiq or panda_hand.
        videos: most videos per task and object, failures first.
        device: the planner's: auto, cpu, cuda or cuda:NUMBER.
        threads: PyTorch's; 0 leaves the choice to it.
        azimuth: degrees of the camera about the table, 0 in front of the arm, 90 at its left; 54.6 if not given.
        view: for mpc: what calibrate-view found out about the camera; a folder or its view.json.
    """

    out: Path
    agent: str = "mpc"
    baselines: str = "all"
    checkpoint: str | None = None
    planner: str = "default"
    task: str = "all"
    object: str = "all"
    episodes: int = 20
    seed: int = 0
    goals: str = "paper"
    randomize: float = 0.0
    vary: str = "all"
    size: int = 256
    gripper: str = "robotiq"
    videos: int = 4
    device: str = "auto"
    threads: int = 0
    azimuth: float | None = None
    view: str | None = None

    def run(self) -> int:
        from agents.agent import LEARNED, PLANNING
        from agents.evaluate import evaluate
        from agents.evaluation_config import BASELINES, EvaluationConfig
        from agents.scoring import markdown_table
        from envs.scene.names import OBJECTS
        from envs.tasks import TASKS
        from envs.variation import ASPECTS

        if self.agent not in PLANNING:
            refuse_unused(self, ("planner", "view"), f"with --agent {self.agent}, which plans nothing")
        config = EvaluationConfig(
            agent=self.agent,
            baselines=() if self.baselines == "none" else choose(self.baselines, BASELINES),
            checkpoint=self.checkpoint,
            planner=self.planner,
            tasks=choose(self.task, tuple(TASKS)),
            objects=choose(self.object, OBJECTS),
            episodes=self.episodes,
            seed=self.seed,
            goals=self.goals,
            randomize=self.randomize,
            vary=choose(self.vary, tuple(ASPECTS)),
            size=self.size,
            gripper=self.gripper,
            videos=self.videos,
            device=self.device,
            azimuth=self.azimuth,
            view=self.view,
        )
        if self.agent in LEARNED:
            set_threads(self.threads)
        total = len(config.tasks) * len(config.objects) * config.episodes * len(config.agents)
        done = 0
        with progress("episodes") as bar:

            def on_episode(agent: str, task: str, name: str) -> None:
                nonlocal done
                done += 1
                bar(done, total, note=f"{agent} {task} {name}")

            bar(0, total)
            info = evaluate(self.out, config, on_episode)
        print(markdown_table(info["cells"]), end="")
        print(f"\nTable, numbers and videos lie in {self.out}.")
        return 0
