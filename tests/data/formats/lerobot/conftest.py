"""A data set that we wrote."""

import pytest

from tests.data.formats.lerobot.sets import rich_episode, write


@pytest.fixture(scope="module")
def own_set(tmp_path_factory):
    return write(tmp_path_factory.mktemp("own") / "set", *(rich_episode(seed, rows=8) for seed in range(2)))
