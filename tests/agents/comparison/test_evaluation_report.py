"""Evaluations beside each other: what their tables say."""

from dataclasses import replace

import pytest

from vjepa_sim.agents.comparison import compare
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import evaluate
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


def test_evaluations_are_compared_on_their_shared_seeds(tmp_path):
    config = EvaluationConfig(agent="expert", tasks=("reach",), objects=("box",), episodes=3, seed=0, size=64, videos=0)
    evaluate(tmp_path / "expert", config, lambda *_: None)
    evaluate(tmp_path / "still", replace(config, agent="still", seed=1), lambda *_: None)
    made = compare(tmp_path / "out", [tmp_path / "expert", tmp_path / "still"])
    (cell,) = made.numbers["cells"]
    counts = {name: cell[name] for name in ("both", "only_first", "only_second", "neither")}
    assert counts == {"both": 0, "only_first": 2, "only_second": 0, "neither": 0}  # seeds 1 and 2
    assert cell["p_value"] == 0.5
    assert "| expert | 3/3 | 3/3 (44–100 %) |  |  |" in made.text
    assert "| still | 0/3 | 0/3 (0–56 %) | -100.0 points over 2 against expert | 0.5 |" in made.text
    assert "| random, beside expert | 0/3 | 0/3 (0–56 %) | | |" in made.text
    assert "| still | still | " in made.text  # how it decides, and how long that takes
    assert f"about {cell['more_to_tell']}" in made.text
    assert "**vary**" not in made.text  # nothing varied in either
    evaluate(tmp_path / "later", replace(config, agent="still", seed=100), lambda *_: None)
    with pytest.raises(UserError, match="share no episode: their seeds differ"):
        compare(tmp_path / "none", [tmp_path / "expert", tmp_path / "later"])
    assert (tmp_path / "still" / "table.md").read_text().startswith("still\n\n| task |")
