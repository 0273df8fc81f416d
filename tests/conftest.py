"""Real parts, made once per test session."""

import os
import signal

# Before anything loads PyTorch, here or in a child: the tests run in parallel, and on few cores threads that wait for
# each other make a step a hundred times slower.
os.environ["OMP_NUM_THREADS"] = "1"

# A script's background job ignores Ctrl-C, and so would the programs that tests start and end with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import settings

from tests.short_measurements import shorten
from vjepa_sim.agents.collection.collect import collect
from vjepa_sim.agents.collection.config import CollectConfig

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Indexes of data sets that come and go are kept out of the user's cache; compiled scenes stay there.

    So are logs of Stable-Baselines3, which it would leave in the system's temporary folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("logs")))
        patch.setattr("vjepa_sim.data.formats.index.cache_folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def episodes_folder(tmp_path_factory):
    """Six short real episodes in DROID's layout."""
    folder = tmp_path_factory.mktemp("collection") / "episodes"
    config = CollectConfig(episodes=6, seed=5, tasks=("grasp",), objects=("box",), steps=8, size=128)
    collect(folder, config, workers=1)
    return folder


@pytest.fixture(scope="session")
def mixture(episodes_folder):
    """The same episodes in memory."""
    from vjepa_sim.data.mixture import load_mixture

    return load_mixture([f"sim:{episodes_folder}"])


@pytest.fixture(scope="session")
def clips(mixture):
    """The one data set of the mixture."""
    return mixture.episodes[0]


@pytest.fixture(scope="module")
def short_measurements():
    """Trainings measure their models for a short time."""
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        yield


@pytest.fixture
def stopping():
    """A training run's report that presses Ctrl-C when it is called for the second time: the first loss is logged at
    step 0.
    """
    told = 0

    def report(step, steps, scalars):
        nonlocal told
        told += 1
        if told == 2:
            signal.raise_signal(signal.SIGINT)

    return report


@pytest.fixture
def slide(monkeypatch):
    """Registers the task ``slide`` for one test."""
    from tests.slide import Slide
    from vjepa_sim.envs.tasks import TASKS

    tuple(TASKS)  # plugins first
    monkeypatch.setitem(TASKS._parts, "slide", Slide)
