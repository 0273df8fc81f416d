"""Real parts, made once per test session."""

import pytest

from agents.collect import CollectConfig, collect


@pytest.fixture(scope="session")
def episodes_folder(tmp_path_factory):
    """Six short real episodes in DROID's layout."""
    folder = tmp_path_factory.mktemp("collection") / "episodes"
    config = CollectConfig(episodes=6, seed=5, tasks=("grasp",), objects=("box",), steps=8, size=128)
    collect(folder, config, workers=1)
    return folder


@pytest.fixture(scope="session")
def clips(episodes_folder):
    """The same episodes in memory."""
    from data.clips import load_clips

    return load_clips([f"sim:{episodes_folder}"])
