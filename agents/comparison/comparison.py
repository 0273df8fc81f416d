"""What a comparison finds, and what it warns of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vjepa_sim.agents.comparison.run_folder import RunFolder, differences


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        text: the report, Markdown.
        numbers: the same, JSON-compatible.
        pictures: that the report shows, uint8 [H, W, 3], by the names of their files.
    """

    text: str
    numbers: dict[str, Any]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)


def warnings_of(runs: list[RunFolder], free: tuple[str, ...]) -> list[str]:
    """What else isn't the same: a line for each."""
    lines = [f"- **{name}** differs: {values}" for name, values in differences(runs, free).items()]
    threads = next((run.method["threads"] for run in runs if "threads" in run.method), None)  # some compute nothing
    for name, values in (
        ("judge", [run.cells[0].get("judged_by", "task") for run in runs]),
        ("threads", [run.method.get("threads", threads) for run in runs]),
        ("code", [run.provenance.get("git_commit") for run in runs]),
        ("versions", [run.provenance.get("versions") for run in runs]),
    ):
        if any(value != values[0] for value in values):
            told = ", ".join(f"{run.name} {value}" for run, value in zip(runs, values, strict=True))
            lines.append(f"- **{name}** differs: {told}")
    lines += [f"- **{run.name}** did not come to its end" for run in runs if not run.complete]
    return [*lines, ""] if lines else []
