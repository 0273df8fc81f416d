"""What is named is refused if it can't be done; what is merely among all is left out."""

from itertools import product

import pytest

from vjepa_sim.envs.episode_config import EpisodeConfig
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.tasks import TASKS


def test_the_projects_own_parts_all_go_together():
    assert EpisodeConfig().pairs == list(product(TASKS, OBJECTS))
    assert EpisodeConfig().notes == []


def test_what_is_among_all_is_left_out(slide):
    config = EpisodeConfig()
    assert config.pairs == [pair for pair in product(TASKS, OBJECTS) if pair != ("slide", "cup")]
    assert config.notes == ["Left out: slide with cup. A cup does not slide."]
    assert EpisodeConfig(tasks=("slide",)).pairs == [("slide", "box")]
    assert EpisodeConfig(objects=("cup",)).pairs == [(task, "cup") for task in TASKS if task != "slide"]


def test_what_is_named_is_refused(slide, monkeypatch):
    for tasks in (("slide",), ("reach", "slide")):
        with pytest.raises(UserError, match="does not slide"):
            EpisodeConfig(tasks=tasks, objects=("cup",))
    monkeypatch.setitem(OBJECTS._parts, "cup", OBJECTS["cup"])
    monkeypatch.delitem(OBJECTS._parts, "box")  # now no object is left for it
    for tasks in (("slide",), ("reach", "slide")):
        with pytest.raises(UserError, match="does not slide"):
            EpisodeConfig(tasks=tasks)
    assert EpisodeConfig().notes
