"""What is known of how an agent learned and how it searches, for tables that compare methods."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn

from vjepa_sim.agents.agent import Agent, card_of
from vjepa_sim.card import BEGUN_WITH, COMPUTE_SECONDS, ENCODER_BEGUN_WITH


def describe(agent: Agent) -> dict:
    """What the agent learned from and how it searches, as far as is known: for tables that compare methods;
    JSON-compatible.
    """
    told: dict = {}
    card, search = card_of(agent), getattr(agent, "config", None)
    if isinstance(getattr(agent, "model", None), nn.Module):
        told["parameters"] = sum(parameter.numel() for parameter in agent.model.parameters())
        told["threads"] = torch.get_num_threads()
    if card is not None and card.data:
        told |= _counted(card.data)
        told[COMPUTE_SECONDS] = _compute_seconds(card.training)
    if search is not None and search.search:
        told |= {name: getattr(search.cem, name) for name in ("samples", "iterations", "horizon")}
    return told


def _counted(data: tuple[dict, ...]) -> dict[str, int]:
    """Episodes and frames of a card's data sets. What was recorded again from the same start counts once, its frames
    pro rata.
    """
    episodes, frames, seen = 0, 0.0, set()
    for record in data:
        count = record.get("episodes", 0)
        seeds = set(record.get("seeds", []))
        new = len(seeds - seen) / len(seeds) if seeds else 1.0
        seen |= seeds
        episodes, frames = episodes + round(new * count), frames + new * record.get("frames", 0)
    return {"episodes": episodes, "frames": round(frames)}


def _compute_seconds(training: dict) -> dict[str, float] | None:
    """All that a card's runs took of cores and GPUs, those that others began with included, each once; None if one
    doesn't tell.
    """
    total: Counter[str] = Counter()
    told_together, stages, levels = [], [], _levels(training)
    if any("released" in level for level in levels):  # whose makers don't tell
        return None
    for level in levels:
        found = [each for each in level.values() if isinstance(each, dict) and "seed" in each]
        if COMPUTE_SECONDS in level:  # of a bundled model, written down for several runs together
            total.update(level[COMPUTE_SECONDS])
            told_together += found
        else:
            stages += [stage for stage in found if stage not in stages]
    alone = [stage for stage in stages if stage not in told_together]
    if any(COMPUTE_SECONDS not in stage for stage in alone) or not (alone or told_together):
        return None
    for stage in alone:
        total.update(stage[COMPUTE_SECONDS])
    return dict(total)


def _levels(training: dict) -> list[dict]:
    """What a card tells of its own training, then of that of what it and its encoder began with, and so on."""
    begun_with = [training[name] for name in (BEGUN_WITH, ENCODER_BEGUN_WITH) if name in training]
    return [training, *(level for each in begun_with for level in _levels(each))]
