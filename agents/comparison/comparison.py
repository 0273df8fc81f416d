"""Result of a comparison, and its warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vjepa_sim.agents.comparison.run_folder import RunFolder, differences


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        text: report in Markdown.
        numbers: numbers of the report, JSON-compatible.
        images: plots of the report, uint8 [H, W, 3], by file name.
    """

    text: str
    numbers: dict[str, Any]
    images: dict[str, np.ndarray] = field(default_factory=dict)


def warnings_of(runs: list[RunFolder], free: tuple[str, ...]) -> list[str]:
    """Differences that may explain a result.

    Args:
        runs: runs to compare.
        free: settings that may differ.

    Returns:
        A line in Markdown for each difference.
    """
    lines = [f"- **{name}** differs: {values}" for name, values in differences(runs, free).items()]
    threads = next((run.method["threads"] for run in runs if "threads" in run.method), None)  # some have none
    for name, values in (
        ("judge", [run.cells[0].get("judged_by", "task") for run in runs]),
        ("threads", [run.method.get("threads", threads) for run in runs]),
        ("code", [run.provenance.get("git_commit") for run in runs]),
        ("versions", [run.provenance.get("versions") for run in runs]),
    ):
        if any(value != values[0] for value in values):
            named = ", ".join(f"{run.name} {value}" for run, value in zip(runs, values, strict=True))
            lines.append(f"- **{name}** differs: {named}")
    lines += [f"- **{run.name}** is incomplete" for run in runs if not run.complete]
    return [*lines, ""] if lines else []
