"""``vjepa-sim doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.cli.verb import Verb


@dataclass(frozen=True, kw_only=True)
class Doctor(Verb):
    """Check this machine: OpenGL, package versions, and a rendered image.

    Attributes:
        image: file for the rendered image.
    """

    image: Path = Path("doctor.png")

    def run(self) -> int:
        from vjepa_sim.envs.doctor import examine

        failures = 0
        for check in examine(self.image):
            print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
            if not check.ok:
                failures += 1
                if check.remedy:
                    print(f"      fix: {check.remedy}")
        print("All checks passed." if not failures else f"{failures} of the checks failed.")
        return 0 if not failures else 1
