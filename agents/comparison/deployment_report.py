"""Where deployments on several rungs differ: success, motion, and the first pictures."""

from __future__ import annotations

from dataclasses import asdict

from vjepa_sim.agents.comparison.comparison import Comparison, warnings_of
from vjepa_sim.agents.comparison.motion import Against, Motion, measure_against, measure_motion, read_episodes
from vjepa_sim.agents.comparison.motion_plot import draw_first_pictures, draw_trajectories
from vjepa_sim.agents.comparison.run_folder import RunFolder

TRAJECTORIES_FILE, PICTURES_FILE = "trajectories.png", "first_pictures.png"
# What makes rungs incomparable, and what differs on purpose or is told by a checksum.
SAME = ("agent", "planner", "task", "checkpoint_crc32", "goals_crc32", "period", "gripper")
FREE = ("backend", "imperfections", "checkpoint", "goals", "episodes")


def compare_rungs(runs: list[RunFolder]) -> Comparison:
    """Compare all rungs with the first."""
    rungs = {run.name: read_episodes(run) for run in runs}
    first = rungs[runs[0].name]
    rows = [
        (run, measure_motion(rungs[run.name]), measure_against(first, rungs[run.name]) if run is not runs[0] else None)
        for run in runs
    ]
    warnings = warnings_of(runs, FREE)
    text = "\n".join(
        [
            f"# {', '.join(run.name for run in runs)}\n",
            f"{runs[0].config['agent']}, {runs[0].config['task']}, steps of {runs[0].config['period']} s. "
            f"Everything is compared with {runs[0].name}.\n",
            *warnings,
            "| rung | backend | success | 95 % interval | judged by | error left, median | one step | planning "
            "| settling error | turn | carried out | first picture | hands part |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
            *(_rung_row(*row) for row in rows),
            "",
            "- settling error, turn: from where the arm was sent to where it was measured one step later, medians",
            "- carried out: how far the arm moved along what was asked of it, as a share of that",
            f"- first picture: mean absolute difference from {runs[0].name}'s, grey levels of 255, over a video's "
            "losses",
            "- hands part: first step at which they are more than 1 cm apart, median over the episodes in which they "
            "part, and how many those are if not all\n",
            f"![Hands]({TRAJECTORIES_FILE})\n",
            f"![First pictures]({PICTURES_FILE})\n",
        ]
    )
    pictures = {TRAJECTORIES_FILE: draw_trajectories(rungs), PICTURES_FILE: draw_first_pictures(rungs)}
    numbers = [
        {
            "name": run.name,
            "folder": str(run.folder),
            "backend": run.config.get("backend"),
            **{key: value for key, value in run.cells[0].items() if key != "episodes"},
            **asdict(motion),
            "against_first": None if against is None else asdict(against),
        }
        for run, motion, against in rows
    ]
    return Comparison(text, {"compare": "deploy", "rungs": numbers, "warnings": warnings}, pictures)


def _rung_row(run: RunFolder, motion: Motion, against: Against | None) -> str:
    cell = run.cells[0]
    low, high = cell["pc_success_ci95"]
    left = cell["final_error_m_median"]
    picture, parted = "", ""
    if against is not None:
        picture = "another size" if against.picture is None else f"{against.picture:.2f}"
        parted = _parted(against)
    return (
        f"| {run.name} | {run.config.get('backend')} | {cell['n_success']}/{cell['n_episodes']} | {low:.0f}–{high:.0f} "
        f"% | {cell['judged_by']} | {'unknown' if left is None else f'{100 * left:.1f} cm'} | "
        f"{motion.step_seconds:.2f} s | {cell['plan_seconds_median']:.2f} s | {1000 * motion.settling_m:.1f} mm | "
        f"{motion.settling_rad:.3f} rad | {100 * motion.carried_out:.0f} % | {picture} | {parted} |"
    )


def _parted(against: Against) -> str:
    if against.parted_at is None:
        return "never"
    some = "" if against.parted == against.episodes else f", {against.parted} of {against.episodes}"
    return f"step {against.parted_at:g}{some}"
