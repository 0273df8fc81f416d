"""Comparison of deployments on several backends: success, motion, and the first images."""

from __future__ import annotations

from dataclasses import asdict

from vjepa_sim.agents.comparison.comparison import Comparison, warnings_of
from vjepa_sim.agents.comparison.motion import Against, Motion, measure_against, measure_motion, read_episodes
from vjepa_sim.agents.comparison.motion_plot import draw_first_images, draw_trajectories
from vjepa_sim.agents.comparison.run_folder import RunFolder

TRAJECTORIES_FILE, IMAGES_FILE = "trajectories.png", "first_pictures.png"
# Settings that must be the same, and settings that may differ or have a checksum among the former.
SAME = ("agent", "planner", "task", "checkpoint_crc32", "goals_crc32", "period", "gripper")
FREE = ("backend", "imperfections", "checkpoint", "goals", "episodes")


def compare_deployments(runs: list[RunFolder]) -> Comparison:
    """Compare all deployments with the first one.

    Args:
        runs: deployments.

    Returns:
        The report.
    """
    episodes = {run.name: read_episodes(run) for run in runs}
    first = episodes[runs[0].name]
    rows = [
        (
            run,
            measure_motion(episodes[run.name]),
            None if run is runs[0] else measure_against(first, episodes[run.name]),
        )
        for run in runs
    ]
    warnings = warnings_of(runs, FREE)
    text = "\n".join(
        [
            f"# {', '.join(run.name for run in runs)}\n",
            f"{runs[0].config['agent']}, {runs[0].config['task']}, steps of {runs[0].config['period']} s. "
            f"Everything is compared with {runs[0].name}.\n",
            *warnings,
            "| run | backend | success | 95 % interval | judged by | final error, median | step | planning "
            "| settling error | rotation | executed | first image | paths diverge |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
            *(_row(*row) for row in rows),
            "",
            "- settling error, rotation: median distance and angle between the commanded pose and the one measured a "
            "step later",
            "- executed: measured motion along the commanded one, as a share of it",
            f"- first image: mean absolute difference from that of {runs[0].name}, grey levels of 255; both are "
            "compressed videos",
            "- paths diverge: first step at which the end effectors are more than 1 cm apart, median over the episodes "
            "in which they are, and the number of those if not all\n",
            f"![Paths of the end effector]({TRAJECTORIES_FILE})\n",
            f"![First images]({IMAGES_FILE})\n",
        ]
    )
    images = {TRAJECTORIES_FILE: draw_trajectories(episodes), IMAGES_FILE: draw_first_images(episodes)}
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
    return Comparison(text, {"compare": "deploy", "rungs": numbers, "warnings": warnings}, images)


def _row(run: RunFolder, motion: Motion, against: Against | None) -> str:
    result = run.cells[0]
    low, high = result["pc_success_ci95"]
    left = result["final_error_m_median"]
    image, diverged = "", ""
    if against is not None:
        image = "another size" if against.picture is None else f"{against.picture:.2f}"
        diverged = _diverged(against)
    return (
        f"| {run.name} | {run.config.get('backend')} | {result['n_success']}/{result['n_episodes']} | {low:.0f}–"
        f"{high:.0f} % | {result['judged_by']} | {'unknown' if left is None else f'{100 * left:.1f} cm'} | "
        f"{motion.step_seconds:.2f} s | {result['plan_seconds_median']:.2f} s | {1000 * motion.settling_m:.1f} mm | "
        f"{motion.settling_rad:.3f} rad | {100 * motion.carried_out:.0f} % | {image} | {diverged} |"
    )


def _diverged(against: Against) -> str:
    if against.parted_at is None:
        return "never"
    some = "" if against.parted == against.episodes else f", {against.parted} of {against.episodes}"
    return f"step {against.parted_at:g}{some}"
