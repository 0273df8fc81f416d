"""Training data, compute, size and search of an agent, for tables that compare methods."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn

from vjepa_sim.agents.agent import Agent, LearnedAgent, card_of
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.card import BEGUN_WITH, COMPUTE_SECONDS, ENCODER_BEGUN_WITH


def describe(agent: Agent) -> dict:
    """Describe how an agent was trained and how it searches.

    Args:
        agent: agent.

    Returns:
        Parameters, threads, training episodes and frames, compute in seconds and settings of the search, as far as
        known; JSON-compatible.
    """
    known: dict = {}
    card = card_of(agent)
    if isinstance(agent, LearnedAgent) and isinstance(agent.model, nn.Module):
        known["parameters"] = sum(parameter.numel() for parameter in agent.model.parameters())
        known["threads"] = torch.get_num_threads()
    if card is not None and card.data:
        known |= _counted(card.data)
        known[COMPUTE_SECONDS] = _compute_seconds(card.training)
    if isinstance(agent, MPCAgent) and agent.config.search:
        known |= {name: getattr(agent.config.cem, name) for name in ("samples", "iterations", "horizon")}
    return known


def _counted(data: tuple[dict, ...]) -> dict[str, int]:
    """Episodes and frames of a card's data sets. Episodes with the same seed count once, their frames pro rata."""
    episodes, frames, seen = 0, 0.0, set()
    for record in data:
        count = record.get("episodes", 0)
        seeds = set(record.get("seeds", []))
        new = len(seeds - seen) / len(seeds) if seeds else 1.0
        seen |= seeds
        episodes, frames = episodes + round(new * count), frames + new * record.get("frames", 0)
    return {"episodes": episodes, "frames": round(frames)}


def _compute_seconds(training: dict) -> dict[str, float] | None:
    """Seconds of cores and GPUs of all training runs, those of the initial checkpoints included, each once; None if one
    is unknown.
    """
    total: Counter[str] = Counter()
    counted_together, stages, levels = [], [], _levels(training)
    if any("released" in level for level in levels):  # unknown for released weights
        return None
    for level in levels:
        found = [each for each in level.values() if isinstance(each, dict) and "seed" in each]
        if COMPUTE_SECONDS in level:  # of a bundled model: the sum over several runs
            total.update(level[COMPUTE_SECONDS])
            counted_together += found
        else:
            stages += [stage for stage in found if stage not in stages]
    alone = [stage for stage in stages if stage not in counted_together]
    if any(COMPUTE_SECONDS not in stage for stage in alone) or not (alone or counted_together):
        return None
    for stage in alone:
        total.update(stage[COMPUTE_SECONDS])
    return dict(total)


def _levels(training: dict) -> list[dict]:
    """The card's record of its training, and those of the checkpoints that it and its encoder were initialised with."""
    begun_with = [training[name] for name in (BEGUN_WITH, ENCODER_BEGUN_WITH) if name in training]
    return [training, *(level for each in begun_with for level in _levels(each))]
