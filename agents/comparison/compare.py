"""Comparison of deployments on several backends, or of evaluations of several agents."""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.agents.comparison import deployment_report, evaluation_report
from vjepa_sim.agents.comparison.comparison import Comparison
from vjepa_sim.agents.comparison.ranking import rank
from vjepa_sim.agents.comparison.run_folder import read_runs, refuse
from vjepa_sim.data.files import write_image, write_json, write_text
from vjepa_sim.data.output import claimed
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError

CONFIG_FILE, JSON_FILE, REPORT_FILE = "compare_config.json", "compare.json", "compare.md"


def compare(out: Path, folders: list[Path], scores: list[Path] | None = None) -> Comparison:
    """Compare runs with the first one, and write the report, its numbers and its plots.

    Args:
        out: new folder, or that of an earlier comparison of the same runs.
        folders: two or more folders, all of ``deploy`` or all of ``eval``.
        scores: folders of ``score`` with the evaluated checkpoints, to compare action scores with success rates.

    Raises:
        UserError: a folder holds no results, or the runs are not comparable; the message names what differs.
    """
    runs, scores = read_runs(folders), scores or []
    deployed = runs[0].kind == "deploy"
    if deployed and scores:
        raise UserError("Action scores are compared with evaluations; these are deployments. Leave out --scores.")
    refuse(runs, deployment_report.SAME if deployed else evaluation_report.SAME)
    settings = {
        "folders": [str(run.folder.resolve()) for run in runs],
        "scores": [str(path.resolve()) for path in scores],
    }
    made = deployment_report.compare_deployments(runs) if deployed else evaluation_report.compare_evaluations(runs)
    if scores:
        ranked = rank(runs, scores)
        made = Comparison(made.text + ranked.text, {**made.numbers, **ranked.numbers}, ranked.images)
    with claimed(out, CONFIG_FILE, settings, assumed={"scores": []}):
        for name, image in made.images.items():
            write_image(out / name, image)
        write_json(out / JSON_FILE, {**made.numbers, "provenance": provenance()})
        write_text(out / REPORT_FILE, made.text)
    return made
