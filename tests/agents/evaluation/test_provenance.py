"""What tables tell of a method: parameters, data and training, each once."""

import pytest
import torch

from vjepa_sim.agents.evaluation.provenance import describe
from vjepa_sim.agents.registry import load_agent


def test_what_an_agent_learned_from_is_told():
    agent = load_agent("mpc", "tiny")
    told = describe(agent)
    assert (told["samples"], told["iterations"], told["horizon"]) == (32, 2, 1)
    assert told["parameters"] == sum(parameter.numel() for parameter in agent.model.parameters())
    assert told["episodes"] == sum(record["episodes"] for record in agent.model.card.data)
    assert told["compute_seconds"] == {"core": 2 * 3600 * 2.75}  # as the bundled model's card says
    runs = {
        "pretrain": {"seed": 0, "compute_seconds": {"core": 60.0}},
        "train": {"seed": 0, "compute_seconds": {"GPU": 30.0}},
    }
    earlier = {"checkpoint": "x", "pretrain": runs["pretrain"], "train": {"seed": 1, "compute_seconds": {"core": 5.0}}}
    agent.model.with_card(training={**runs, "begun_with": earlier})  # both began with the same encoder
    assert describe(agent)["compute_seconds"] == {"core": 65.0, "GPU": 30.0}
    before = {"checkpoint": "y", "pretrain": {"seed": 2, "compute_seconds": {"core": 7.0}}}
    agent.model.with_card(training={**runs, "encoder_begun_with": before})
    assert describe(agent)["compute_seconds"] == {"core": 67.0, "GPU": 30.0}
    agent.model.with_card(training={**runs, "encoder_begun_with": {"checkpoint": "z.pt", "released": {"file": "z.pt"}}})
    assert describe(agent)["compute_seconds"] is None  # whose makers don't tell
    agent.model.with_card(training={**runs, "train": {"seed": 0}})  # from before runs told it
    assert describe(agent)["compute_seconds"] is None
    assert told["threads"] == torch.get_num_threads()
    assert describe(load_agent("still")) == {}


def test_what_an_agent_began_with_counts_and_counts_once():
    agent = load_agent("mpc", "tiny")
    card, before = agent.model.card, describe(agent)
    moved = {**card.data[0], "sources": ["sim:elsewhere"]}
    half = card.data[0]["seeds"][:5] + [7, 8, 9, 10, 11]  # half of the starts once more
    anew, more = {"episodes": 10, "frames": 100, "seeds": half}, {"episodes": 5, "frames": 50, "seeds": []}
    own = {"pretrain": card.training["pretrain"], "inverse": {"seed": 0, "compute_seconds": {"core": 1800.0}}}
    agent.model.with_card(
        data=(*card.data, moved, anew, more), training={**own, "begun_with": {"checkpoint": "tiny", **card.training}}
    )
    told = describe(agent)
    assert told["compute_seconds"] == {"core": pytest.approx(2 * 3600 * 2.75 + 1800)}
    assert (told["episodes"], told["frames"]) == (before["episodes"] + 10, before["frames"] + 100)
