"""``vjepa-sim clone``."""

from __future__ import annotations

from dataclasses import dataclass

from vjepa_sim.cli.learning import Learning, print_measured
from vjepa_sim.cli.progress import progress


@dataclass(frozen=True, kw_only=True)
class Clone(Learning):
    """Train a policy by behaviour cloning toward goal images, Octo's way: nothing is imagined. A stopped run continues likewise.

    Data are robot episodes: droid:PATH, sim:, lerobot:, rlds: or robomimic:, each with a weight if you like.
    """

    def run(self) -> int:
        from agents.cloning import CloningConfig, PolicyConfig, clone
        from data.output import check_output
        from vjepa_sim.run import RUN_FILE

        config = self.adjust(CloningConfig())
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        with self.computing() as compute:
            with progress("reading episodes") as bar:
                mixture = self.mixture(PolicyConfig().image_size, compute, bar, only_episodes=True)
            with progress("cloning") as bar:
                policy = clone(mixture, self.out, config, self.seed, bar, compute)
        if compute.is_main:
            print_measured(policy.card)
            print(
                f"The policy lies in {self.out}. "
                f"Next: vjepa-sim eval --agent bc --checkpoint {self.out} --episodes 20 --seed 0 --out FOLDER"
            )
        return 0
