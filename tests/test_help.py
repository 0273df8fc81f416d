"""Help texts come from the registries, with what plugins register."""

from dataclasses import replace

import pytest

from vjepa_sim.agents.planning.presets import PLANNERS
from vjepa_sim.baselines.registry import BASELINES
from vjepa_sim.cli import main
from vjepa_sim.data.formats import FORMATS
from vjepa_sim.training.presets import PRESETS, RECIPES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "verb, registry, like, changes",
    [
        ("eval", PLANNERS, "latent", {"about": "a quick search"}),
        ("baseline", BASELINES, "lewm", {"about": "a method of a plugin"}),
        ("train", PRESETS, "tiny", {}),
        ("pretrain", RECIPES, "constant", {}),
        ("train", FORMATS, "droid", {"title": "a layout of a plugin"}),
    ],
)
def test_a_plugins_part_is_in_the_help_text(verb, registry, like, changes, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    part = replace(registry[like], name="mine", **changes)
    monkeypatch.setitem(registry._parts, "mine", part)
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    expected = [f"mine: {text}" for text in changes.values()] or [",mine}"]
    assert all(text in words for text in expected)
