"""Rank correlation between checkpoints' action scores on recordings and their success rates in evaluations."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vjepa_sim.agents.comparison.comparison import Comparison
from vjepa_sim.agents.comparison.conditions import condition_of
from vjepa_sim.agents.comparison.run_folder import RunFolder
from vjepa_sim.agents.evaluation.action_score import JSON_FILE as SCORE_FILE
from vjepa_sim.agents.plotting.panel import Sheet
from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.data.files import lacking, read_json_object
from vjepa_sim.envs.errors import UserError

PLOT_FILE = "ranking.png"
MEASURES = ("action_score", "direction", "magnitude")
# Required entries of a score; without any planned motion there is no direction.
SCORE = {"action_score": int | float, "direction": int | float | None, "magnitude": int | float | None, "config": dict}
FEWEST = 3  # checkpoints in a ranking
PERMUTATIONS = 9999  # of the test; up to seven checkpoints it is exact
DOT = (30, 110, 170)


def rank(runs: list[RunFolder], folders: list[Path]) -> Comparison:
    """Correlate the ranks of action scores and of success rates.

    Args:
        runs: evaluations; tasks and objects that not all of them have are left out.
        folders: folders of ``score``. A run's score is the one of the same checkpoint and planner.

    Returns:
        The part of the report.

    Raises:
        UserError: a folder holds no score, a run has two scores, two runs share one, fewer than three have one, the
            scores differ in their clips, or the evaluations differ in their condition or share no task and object.
    """
    scores = [(folder, _read(folder)) for folder in folders]
    found_in = [(run, _score_of(run, scores)) for run in runs]
    scored = [(run, *found) for run, found in found_in if found is not None]
    if len(scored) < FEWEST:
        raise UserError(
            f"{len(scored)} of {len(runs)} evaluations have a score of their checkpoint and planner; a ranking needs "
            f"{FEWEST} or more. {_unscored([run for run, found in found_in if found is None])}"
        )
    _check_alike(scored)
    rates = [run.rates() for run, _, _ in scored]
    shared = [cell for cell in rates[0] if all(cell in each for each in rates)]
    if not shared:
        raise UserError("The evaluations have no task and object in common.")
    success = {f"{task} {name}": [100 * each[task, name] for each in rates] for task, name in shared}
    success = {"all": [float(np.mean(each)) for each in zip(*success.values(), strict=True)], **success}
    measured = {name: [score.get(name) for _, _, score in scored] for name in MEASURES}
    found = {
        name: {column: _spearman(values, rates) for column, rates in success.items()}
        for name, values in measured.items()
    }
    names = [run.name for run, _, _ in scored]
    text = "\n".join(
        [
            f"\n## Action scores and success rates ({len(names)} checkpoints)\n",
            f"| run | action score | direction | magnitude | {' | '.join(f'{column}, %' for column in success)} |",
            "|---" * (len(success) + 4) + "|",
            *(
                _row(name, [each[i] for each in (*measured.values(), *success.values())])
                for i, name in enumerate(names)
            ),
            "",
            "Spearman's rank correlation with the success rate, and in brackets its p in a permutation test:\n",
            f"| | {' | '.join(success)} |",
            "|---" * (len(success) + 1) + "|",
            *(
                f"| {name.replace('_', ' ')} | {' | '.join(map(_correlation, each.values()))} |"
                for name, each in found.items()
            ),
            "",
            f"![Success rate over action score]({PLOT_FILE})\n",
        ]
    )
    numbers = {"runs": names, "measured": measured, "success": success, "spearman": found}
    scores = [float(score["action_score"]) for _, _, score in scored]
    return Comparison(text, {"ranking": numbers}, {PLOT_FILE: _draw(names, scores, success["all"])})


def _unscored(runs: list[RunFolder]) -> str:
    """The scores that are missing, and the command for the first of them."""
    planning = [run for run in runs if _plans(run.config["agent"])]
    if not planning:
        return f"Only evaluations of an agent that plans can have one: {', '.join(filter(_plans, AGENTS))}."
    config = planning[0].config
    return (
        f"Missing: {', '.join(run.name for run in planning)}. Make the first with: vjepa-sim score --checkpoint "
        f"{config['checkpoint']} --planner {config.get('planner', 'default')} --data sim:EPISODES --out FOLDER"
    )


def _read(folder: Path) -> dict:
    """Read the results of ``score``."""
    if not (folder / SCORE_FILE).is_file():
        raise UserError(f"{folder} holds no score: expected {SCORE_FILE}, as `vjepa-sim score` writes it.")
    score = read_json_object(folder / SCORE_FILE)
    missing = lacking(score, SCORE)
    if missing:
        raise UserError(f"{folder / SCORE_FILE} lacks {', '.join(missing)}.")
    return score


def _plans(agent: str) -> bool:
    """Whether an agent plans with the checkpoint's own predictor, which a score measures; an oracle doesn't."""
    spec = AGENTS.get(agent)  # None for an agent of a plugin that is not loaded
    return spec is not None and spec.planning and spec.ours and not spec.privileged


def _score_of(run: RunFolder, scores: list[tuple[Path, dict]]) -> tuple[Path, dict] | None:
    """Folder and score of a run's checkpoint and planner; None for an agent that can't have one."""
    if not _plans(run.config["agent"]):
        return None
    wanted = ("checkpoint_crc32", "planner")
    same = [(f, s) for f, s in scores if all(s["config"].get(name) == run.config.get(name) for name in wanted)]
    if len(same) > 1:
        raise UserError(
            f"{run.name} has several scores: {', '.join(str(folder) for folder, _ in same)}. Give one of them."
        )
    return same[0] if same else None


def _check_alike(scored: list[tuple[RunFolder, Path, dict]]) -> None:
    """Refuse runs that share a score, and scores or evaluations with different settings."""
    owners: dict[Path, str] = {}
    for run, folder, _ in scored:
        if folder in owners:
            raise UserError(
                f"{owners[folder]} and {run.name} evaluate the same checkpoint with the same planner. Leave one of "
                "them out."
            )
        owners[folder] = run.name
    sides = {
        "evaluations": [(run.folder, {"condition": condition_of(run.config)}) for run, _, _ in scored],
        "scores": [(folder, _settings(score)) for _, folder, score in scored],
    }
    for kind, given in sides.items():
        first, wanted = given[0]
        for folder, settings in given[1:]:
            for name, value in settings.items():
                if value != wanted[name]:
                    raise UserError(
                        f"These {kind} can't be ranked together: {name} differs between {first} and {folder}."
                    )


def _settings(score: dict) -> dict:
    """Settings that all scores must share."""
    return {name: score["config"].get(name) for name in ("data", "clips", "horizon")} | {
        "held_out_alone": score.get("held_out_alone")
    }


def _spearman(values: list[float | None], rates: list[float]) -> dict[str, float] | None:
    """Rank correlation of the known values, and p of its permutation test; None with fewer than three known values, or
    if all values or all rates are equal.
    """
    from scipy.stats import permutation_test, rankdata

    known = [(value, rate) for value, rate in zip(values, rates, strict=True) if value is not None]
    if len(known) < FEWEST:
        return None
    pairs = np.array(known, np.float64)
    if any(len(set(side)) == 1 for side in pairs.T):
        return None
    ranks, others = (rank - rank.mean() for rank in map(rankdata, pairs.T))
    found = permutation_test(
        (ranks,),
        lambda order, axis: (order * others).sum(axis) / np.sqrt((ranks**2).sum() * (others**2).sum()),
        permutation_type="pairings",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        rng=0,
    )
    return {"rho": float(found.statistic), "p_value": float(found.pvalue)}


def _correlation(found: dict[str, float] | None) -> str:
    return "unknown: too few, or all equal" if found is None else f"{found['rho']:+.2f} ({found['p_value']:.2g})"


def _row(name: str, numbers: list[float | None]) -> str:
    score, *ways = numbers[: len(MEASURES)]
    success = numbers[len(MEASURES) :]
    cells = [
        f"{score:.1f}",
        *("" if way is None else f"{way:.2f}" for way in ways),
        *(f"{rate:.0f}" for rate in success),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _draw(names: list[str], scores: list[float], success: list[float]) -> np.ndarray:
    """Plot success rates over action scores, a numbered dot for each checkpoint; uint8 [H, W, 3]."""
    sheet = Sheet(1, legend=24 * len(names))
    panel = sheet.panel(0, (0, 0), (80, 100))
    panel.axes(np.arange(0, 81, 20), np.arange(0, 101, 20), "action score", "success, %")
    panel.names([(f"{number} {name}", DOT) for number, name in enumerate(names, start=1)])
    for number, point in enumerate(zip(scores, success, strict=True), start=1):
        panel.dot(point, DOT, str(number))
    return sheet.done()
