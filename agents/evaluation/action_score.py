"""Action score: the motion that a planner plans between two images of a recording, compared with the recorded one.

The score is that of jepa-wms (arXiv 2512.24497). Direction and magnitude are reported besides, since planned motions
often have the right direction and are too short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.agents.evaluation.score_config import ScoreConfig
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import planner_for
from vjepa_sim.agents.plotting.panel import Color, Sheet
from vjepa_sim.card import Card
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.files import write_image, write_json
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.output import claimed
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import POSITION
from vjepa_sim.protocols import LatentDynamics

CONFIG_FILE, JSON_FILE, PLOT_FILE = "score_config.json", "score.json", "planned.png"
SEED = 2  # random seed of the clips
WORST, PER_METRE = 0.1, 800.0  # error in metres with score 0; points per metre less
STANDS_STILL = 0.01  # m; shorter motions have no direction
AXES: tuple[tuple[str, Color], ...] = (("x", (200, 90, 30)), ("y", (50, 140, 60)), ("z", (30, 110, 170)))


def agent_for(model: LatentDynamics, config: ScoreConfig) -> MPCAgent:
    """The planner of a score.

    Args:
        model: world model.
        config: settings of the score.

    Raises:
        UserError: the model lacks what the planner needs.
    """
    planner = planner_for(model, config.planner)
    return MPCAgent(model, replace(planner, cem=replace(planner.cem, horizon=config.horizon)))


def score_actions(
    agent: MPCAgent,
    mixture: Mixture,
    *,
    out: Path,
    config: ScoreConfig,
    on_clip: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Plan from the first to the last image of recorded clips, and write ``score.json`` and a plot.

    Args:
        agent: planner, see :func:`agent_for`.
        mixture: robot episodes.
        out: new folder.
        config: settings of the score.
        on_clip: called with the number of clips so far and in all.

    Returns:
        The scores of :func:`summarize`; ``still_score``, the score of zero motions; ``held_out_alone``, see
        :func:`learned_from` (if the model was trained on these data, only held-out episodes are used); the numbers of
        clips and of distinct clips; and the motions of each clip in metres.

    Raises:
        UserError: the period, the arm or the gripper of the model differs from the clips'.
    """
    card = agent.model.card
    period = card.period
    if period is not None and abs(period - mixture.period) > 0.01 * period:
        raise UserError(
            f"Checkpoint {config.checkpoint} was trained for steps of {period} s; the clips' are {mixture.period} s. "
            f"Give --period {period}."
        )
    for part, known in (("arms", card.arms()), ("grippers", card.grippers())):
        recorded = {name for record in mixture.records for name in record[part]}
        if known and not recorded <= known:
            raise UserError(
                f"Checkpoint {config.checkpoint} was trained with {', '.join(sorted(known))}; these were recorded with "
                f"{', '.join(sorted(recorded))}."
            )
    seen = learned_from(card, mixture)  # if so, only held-out episodes are used
    drawn = [[SEED, row] for row in range(config.clips)]
    clips = mixture.draw_motion(drawn, config.horizon + 1, held_out=bool(seen), images=True)
    settings = {**asdict(config), "checkpoint_crc32": fingerprint(config.checkpoint), "data": mixture.identity}
    with claimed(out, CONFIG_FILE, settings):
        plans = []
        for number, clip in enumerate(clips, start=1):
            plans.append(plan_through(agent, clip))
            on_clip(number, len(clips))
        planned = np.array(plans, np.float64)
        done = np.array([clip.states[-1, POSITION] - clip.states[0, POSITION] for clip in clips], np.float64)
        report = {
            **summarize(planned, done),
            "still_score": summarize(np.zeros_like(done), done)["action_score"],
            "n_clips": len(clips),
            "n_different": len({(clip.source, *clip.numbers.tolist()) for clip in clips}),
            "held_out_alone": seen,
            "planned_m": np.round(planned, 5).tolist(),
        }
        report |= {"done_m": np.round(done, 5).tolist(), "config": settings, "provenance": provenance()}
        write_json(out / JSON_FILE, report)
        write_image(out / PLOT_FILE, draw_ways(planned, done))
    return report


def learned_from(card: Card, mixture: Mixture) -> bool | None:
    """Whether a model was trained on some of these data.

    Data sets are the same if they have the same path, common seeds, or equal numbers of episodes and frames.

    Args:
        card: card of the model.
        mixture: robot episodes.

    Returns:
        None if the card does not list training data.

    Raises:
        UserError: a data set has changed since, so that its held-out episodes are unknown.
    """
    if not card.data:
        return None
    seen = False
    for record in mixture.records:
        for known in card.data:
            if not _overlap(known, record):
                continue
            seen = True
            # Held-out episodes are chosen by their index.
            had, here = known.get("episodes"), record["episodes"]
            both_tell = known.get("seeds") and record["seeds"]  # only simulated data have seeds
            if had != here or (both_tell and known["seeds"] != record["seeds"]):
                raise UserError(
                    f"{', '.join(record['sources'])}: {card.name!r} was trained on some of these episodes, but the "
                    f"data set has changed: it had {had} episodes and has {here}{' with other seeds' * (had == here)}. "
                    "So its held-out episodes are unknown. Give the unchanged data set, or another: `vjepa-sim "
                    "collect` with another --seed makes one."
                )
    return seen


def _overlap(known: dict, record: dict) -> bool:
    """Whether two records describe some of the same episodes."""
    if record["seeds"] and known.get("seeds"):
        return not set(record["seeds"]).isdisjoint(known["seeds"])
    same = [[each.get(name) for name in ("episodes", "frames")] for each in (known, record)]
    return same[0] == same[1] or not _places(known).isdisjoint(_places(record))


def _places(record: dict) -> set[Path]:
    """Absolute paths of the data, without the names of their formats."""
    return {Path(source.split(":", 1)[-1]).resolve() for source in record.get("sources", [])}


def plan_through(agent: MPCAgent, clip: RobotClip) -> np.ndarray:
    """Plan from a clip's first image toward its last one.

    Args:
        agent: planner.
        clip: clip with images and states.

    Returns:
        Planned motion [3], the sum of all steps, metres, base frame.

    Raises:
        UserError: the clip has no images.
    """
    if clip.frames is None:
        raise UserError("A clip without images can't be scored: draw it with images.")
    agent.begin([Goal(clip.frames[-1], steps=len(clip.frames) - 1)])
    agent.act(Observation(clip.frames[0], clip.states[0], 0.0))
    return agent.plan.actions[:, POSITION].sum(0).numpy()


def summarize(planned: np.ndarray, done: np.ndarray) -> dict[str, float | None]:
    """Scores of planned motions against recorded ones.

    Args:
        planned, done: planned and recorded motions [N, 3], metres.

    Returns:
        ``action_score`` (0 to 80), ``error_m`` (mean L1 distance), ``direction`` (mean cosine between planned and
        recorded motions; None without motion) and ``magnitude`` (median ratio of their lengths; None without recorded
        motion).
    """
    error = float(np.abs(planned - done).sum(1).mean())
    lengths, planned_lengths = np.linalg.norm(done, axis=1), np.linalg.norm(planned, axis=1)
    long = lengths > STANDS_STILL
    moves = long & (planned_lengths > 0)
    cosines = (planned * done).sum(1)[moves] / (lengths * planned_lengths)[moves]
    return {
        "action_score": max(0.0, PER_METRE * (WORST - error)),
        "error_m": error,
        "direction": float(cosines.mean()) if moves.any() else None,
        "magnitude": float(np.median(planned_lengths[long] / lengths[long])) if long.any() else None,
    }


def draw_ways(planned: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Plot planned over recorded motions in centimetres, a dot for each clip and axis; uint8 [H, W, 3]."""
    end = max(1.0, 110 * float(np.abs([planned, done]).max()))
    sheet = Sheet(1)
    panel = sheet.panel(0, (-end, -end), (end, end))
    ticks = np.round(np.linspace(-end, end, 5), 1)
    panel.axes(ticks, ticks, "recorded, cm", "planned, cm")
    panel.line((-end, -end), (end, end), (120, 120, 120))
    for axis, (_, color) in enumerate(AXES):
        for x, y in zip(100 * done[:, axis], 100 * planned[:, axis], strict=True):
            panel.dot((x, y), color)
    panel.title(list(AXES))
    return sheet.done()
