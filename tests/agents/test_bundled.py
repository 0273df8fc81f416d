"""What is bundled: it works, it is small enough, and what docs/arena tells of it is of these weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vjepa_sim.agents.registry import load_agent
from vjepa_sim.checkpoint import BUNDLED, fingerprint
from vjepa_sim.envs.sim_env import SimEnv

pytestmark = pytest.mark.slow

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
    env = SimEnv("reach", "box")
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


def rows_of(title: str) -> dict[str, list[str]]:
    """A table of docs/baselines.md: the cells of each row, by the name in front."""
    section = (ARENA.parent / "baselines.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"]
    first = next(number for number, row in enumerate(rows) if set("".join(row)) == {"-"})
    width = len(rows[first])
    return {row[0]: row[1:] for row in rows[first + 1 :] if len(row) == width}


def counts_in(run: Path, agent: str | None = None) -> list[str]:
    info = json.loads((run / "eval_info.json").read_text())
    agent = agent or info["config"]["agent"]
    return [f"{cell['n_success']}/{cell['n_episodes']}" for cell in info["cells"] if cell["agent"] == agent]


def total(counts: list[str]) -> str:
    successes, episodes = zip(*(map(int, count.split("/")) for count in counts), strict=True)
    return f"{sum(successes)}/{sum(episodes)}"


def test_the_table_of_success_is_what_was_published():
    told = rows_of("Success")
    runs = {run.name: counts_in(run) for run in (ARENA / "nominal").iterdir()}
    runs |= {name: counts_in(ARENA / "nominal" / "tiny", name) for name in ("expert", "random", "still")}
    assert {name: row[:8] for name, row in told.items()} == runs
    assert all(row[8].startswith(f"{total(row[:8])} ") for row in told.values())


def test_the_table_of_looks_is_what_was_published():
    told = rows_of("Other appearances")
    looks = ("nominal", "camera", "light", "objects", "distractors", "azimuth")
    for name, row in told.items():
        if (ARENA / "camera" / name).is_dir():
            for look, cell in zip(looks, row, strict=True):
                run = ARENA / look / name
                assert cell.split(" ")[0] == (total(counts_in(run)) if run.is_dir() else "")
    assert {run.name for run in (ARENA / "camera").iterdir()} <= set(told)
