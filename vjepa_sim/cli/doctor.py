"""``vjepa-sim doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Doctor(Verb):
    """Check this machine: OpenGL, versions and pins, and one rendered picture.

    Attributes:
        picture: where to put the picture.
    """

    picture: Path = Path("doctor.png")

    def run(self) -> int:
        from vjepa_sim.envs.doctor import examine

        failures = 0
        for check in examine(self.picture):
            print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
            if not check.ok:
                failures += 1
                print(f"      to mend it: {check.remedy}")
        print("Everything is fine." if not failures else f"{failures} of the checks failed.")
        return 0 if not failures else 1
