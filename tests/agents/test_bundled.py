"""What is bundled: it works, it is small enough, and what docs/arena tells of it is of these weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.agent import load_agent
from envs.franka_env import FrankaEnv
from vjepa_sim.world_model import BUNDLED, fingerprint

ARENA = Path(__file__).parents[2] / "docs" / "arena"


@pytest.mark.parametrize(
    "agent, checkpoint, planner",
    [
        ("mpc", "tiny", "default"),
        ("mpc", "tiny-2h", "default"),
        ("bc", "bc", "default"),
        ("mpc", "inverse", "default"),
        ("mpc", "lewm", "latent"),
        ("mpc", "dino-wm", "latent"),
        ("mpc", "video", "default"),
    ],
)
def test_it_moves_toward_a_goal_that_lies_ahead(agent, checkpoint, planner):
    env = FrankaEnv("reach", "box")
    _, info = env.reset(seed=0)
    acting = load_agent(agent, checkpoint, limits=env.arm.limits, planner=planner)
    acting.begin(info["goals"])
    before = info["error"]
    for _ in range(4):
        *_, info = env.step(acting.act(env.observation))
    assert info["error"] < 0.5 * before
    env.close()


def test_all_weights_together_stay_under_100_mb():
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*") if path.is_file()) < 100e6


def of_bundled() -> Iterator[Any]:
    """Settings of the published evaluations and scores of bundled models."""
    for path in sorted(ARENA.glob("*/*/*_config.json")):
        config = json.loads(path.read_text())["config"]
        if (BUNDLED / config["checkpoint"]).is_dir():
            yield pytest.param(config, id=str(path.parent.relative_to(ARENA)))


@pytest.mark.parametrize("config", of_bundled())
def test_published_numbers_are_of_the_models_that_are_bundled(config):
    assert config["checkpoint_crc32"] == fingerprint(config["checkpoint"])
