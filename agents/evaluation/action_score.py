"""What a planner would do between two pictures of a recording, beside what was done: a score without robot or
simulator.

The action score of jepa-wms (arXiv 2512.24497), with direction and magnitude, since planned motions are known to point
the right way and to be too short.
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
from vjepa_sim.data.clip import Clip
from vjepa_sim.data.files import write_image, write_json
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.output import claimed
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import POSITION
from vjepa_sim.protocols import LatentDynamics

CONFIG_FILE, JSON_FILE, PICTURE_FILE = "score_config.json", "score.json", "planned.png"
SEED = 2  # of the clips that are drawn
WORST, PER_METRE = 0.1, 800.0  # metres of error that score 0, and points for each metre less
STANDS_STILL = 0.01  # m: shorter ways have no direction
AXES: tuple[tuple[str, Color], ...] = (("x", (200, 90, 30)), ("y", (50, 140, 60)), ("z", (30, 110, 170)))


def agent_for(model: LatentDynamics, config: ScoreConfig) -> MPCAgent:
    """What plans with a model.

    Raises:
        UserError: this planner needs what the model hasn't.
    """
    planner = planner_for(model, config.planner)
    return MPCAgent(model, replace(planner, cem=replace(planner.cem, horizon=config.horizon)))


def score_actions(
    agent: MPCAgent,
    mixture: Mixture,
    out: Path,
    config: ScoreConfig,
    on_clip: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Plan from the first to the last picture of recorded clips, and write ``score.json`` and a picture into ``out``.

    Args:
        agent: of :func:`agent_for`.
        mixture: of robot episodes.
        out: a new folder.
        config: what to score.
        on_clip: called with the clips done and in all.

    Returns:
        :func:`summarize`'s scores, ``still_score`` (of standing still), ``held_out_alone`` (see :func:`learned_from`;
        where the model learned from these data only the episodes that were kept from it count), how many clips there
        are and how many of them are different, and each clip's ways.

    Raises:
        UserError: the model plans in steps of another length than the clips', or for another gripper than theirs.
    """
    card = agent.model.card
    period = card.period
    if period is not None and abs(period - mixture.period) > 0.01 * period:
        raise UserError(
            f"Checkpoint {config.checkpoint} was trained for steps of {period} s; the clips' are {mixture.period} s. "
            f"Give --period {period}."
        )
    grippers = {name for record in mixture.records for name in record["grippers"]}
    if card.grippers() and not grippers <= card.grippers():
        raise UserError(
            f"Checkpoint {config.checkpoint} was trained with {', '.join(sorted(card.grippers()))}; these were "
            f"recorded with {', '.join(sorted(grippers))}."
        )
    seen = learned_from(card, mixture)  # then only those episodes that it was kept from say anything
    drawn = [[SEED, row] for row in range(config.clips)]
    clips = mixture.draw_motion(drawn, config.horizon + 1, held_out=bool(seen), pictures=True)
    settings = {**asdict(config), "checkpoint_crc32": fingerprint(config.checkpoint), "data": mixture.identity}
    with claimed(out, CONFIG_FILE, settings):
        planned = []
        for number, clip in enumerate(clips, start=1):
            planned.append(plan_through(agent, clip))
            on_clip(number, len(clips))
        planned = np.array(planned, np.float64)
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
        write_image(out / PICTURE_FILE, draw_ways(planned, done))
    return report


def learned_from(card: Card, mixture: Mixture) -> bool | None:
    """Whether a model learned from some of these data: they lie in the same place, hold the same seeds, or as many
    frames in as many episodes. None if its card doesn't tell what it learned from.

    Raises:
        UserError: they are other episodes by now, so that which of them were kept from the model can't be told.
    """
    if not card.data:
        return None
    seen = False
    for record in mixture.records:
        for known in card.data:
            if not _overlap(known, record):
                continue
            seen = True
            # Episodes are kept out by their number among all.
            had, here = known.get("episodes"), record["episodes"]
            both_tell = known.get("seeds") and record["seeds"]  # other formats than ours know none
            if had != here or (both_tell and known["seeds"] != record["seeds"]):
                raise UserError(
                    f"{', '.join(record['sources'])}: {card.name!r} learned from some of these starts, but not of just "
                    f"these: it had {had} episodes and here are {here}{' of other seeds' * (had == here)}. So which "
                    "were kept from it can't be told. Give its data as they were, or others: `vjepa-sim collect` "
                    "makes them with another --seed."
                )
    return seen


def _overlap(known: dict, record: dict) -> bool:
    """Whether two records tell of some of the same episodes."""
    if record["seeds"] and known.get("seeds"):
        return not set(record["seeds"]).isdisjoint(known["seeds"])
    same = [[each.get(name) for name in ("episodes", "frames")] for each in (known, record)]
    return same[0] == same[1] or not _places(known).isdisjoint(_places(record))


def _places(record: dict) -> set[Path]:
    """Where data lie, whatever they are called; the formats' names left out."""
    return {Path(source.split(":", 1)[-1]).resolve() for source in record.get("sources", [])}


def plan_through(agent: MPCAgent, clip: Clip) -> np.ndarray:
    """The whole way [3] in metres that is planned from a clip's first picture toward its last."""
    agent.begin([Goal(clip.frames[-1], steps=len(clip.frames) - 1)])
    agent.act(Observation(clip.frames[0], clip.states[0], 0.0))
    return agent.plan.actions[:, POSITION].sum(0).numpy()


def summarize(planned: np.ndarray, done: np.ndarray) -> dict[str, float | None]:
    """Scores of planned ways beside those done, [N, 3] metres each.

    Returns:
        ``action_score`` (0 to 80), ``error_m`` (the mean over ways of what x, y and z are off by together),
        ``direction`` (the mean cosine between planned and done ways; None where nothing was planned or nothing was
        done) and ``magnitude`` (the median length of planned ways as shares of those done; None where nothing was
        done).
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
    """Planned against done, a dot for each clip and axis, in centimetres; uint8 [H, W, 3]."""
    end = max(1.0, 110 * float(np.abs([planned, done]).max()))
    sheet = Sheet(1)
    panel = sheet.panel(0, (-end, -end), (end, end))
    ticks = np.round(np.linspace(-end, end, 5), 1)
    panel.axes(ticks, ticks, "done, cm", "planned, cm")
    panel.line((-end, -end), (end, end), (120, 120, 120))
    for axis, (_, color) in enumerate(AXES):
        for x, y in zip(100 * done[:, axis], 100 * planned[:, axis], strict=True):
            panel.dot((x, y), color)
    panel.title(list(AXES))
    return sheet.done()
