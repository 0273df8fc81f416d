"""What a look costs: which runs belong together, and against what each is held."""

import pytest

from agents.comparing.cell_report import compare_cells
from agents.comparing.looks import compare_looks, look_of
from agents.comparing.run_folder import RunFolder

NOMINAL = {"randomize": 0.0, "vary": ["camera", "light"], "azimuth": None}
LIGHT = {**NOMINAL, "randomize": 1.0, "vary": ["light"]}


def run_of(agent, look, successes):
    """An evaluation of one cell, whose episodes of these seeds succeeded or not."""
    episodes = [{"seed": seed, "success": won} for seed, won in successes.items()]
    won = sum(successes.values())
    cell = {"agent": agent, "task": "reach", "object": "cup", "n_success": won, "n_episodes": len(episodes)}
    config = {"agent": agent, "checkpoint": agent, "checkpoint_crc32": agent, **look}
    return RunFolder(f"{agent} {look_of(look)}", None, "eval", config, [{**cell, "episodes": episodes}], {}, True, {})


def test_a_look_is_held_against_the_same_agents_first():
    runs = [
        run_of("mpc", NOMINAL, {0: True, 1: True, 2: True, 3: False}),
        run_of("bc", NOMINAL, {0: True, 1: True}),
        run_of("mpc", LIGHT, {1: False, 2: False, 3: False, 9: True}),
        run_of("bc", LIGHT, {0: True, 1: False}),
        run_of("octo", LIGHT, {0: True}),
    ]
    made = compare_looks(runs)
    told = {(each["agent"].split()[0], each["look"]): each for each in made.numbers["looks"]}
    assert told["mpc", "light"]["points"] == pytest.approx(-200 / 3)  # two of the three that both have
    assert (told["mpc", "light"]["n"], told["mpc", "light"]["p_value"]) == (3, 0.5)
    assert told["bc", "light"]["points"] == -50
    assert ("octo", "light") not in told and "octo" not in made.text
    assert "| bc with bc | 2/2 (34–100 %) | 1/2 (9–91 %), -50.0 points, p = 1 |" in made.text


def test_nothing_is_told_of_one_look():
    made = compare_looks([run_of("mpc", NOMINAL, {0: True}), run_of("bc", LIGHT, {0: True})])
    assert (made.text, made.numbers) == ("", {})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "nominal"),
        ({"randomize": 1.0, "vary": ["textures", "color"]}, "textures, color"),
        ({"randomize": 0.5, "vary": ["camera"]}, "camera at 0.5"),
        ({"azimuth": 45.0}, "camera at 45°"),
        ({"randomize": 1.0, "vary": ["light"], "azimuth": 45.0}, "light; camera at 45°"),
    ],
)
def test_looks_have_names(changed, told):
    assert look_of({**NOMINAL, **changed}) == told


def test_what_makes_a_look_is_no_warning_beside_its_table():
    nominal, light = run_of("mpc", NOMINAL, {0: True}), run_of("mpc", LIGHT, {0: True})
    told = {"goals": "paper", "gripper": "robotiq"}
    for run in (nominal, light):
        run.config.update(told)
        run.cells[0].update(plan_seconds_median=0.1, model_evaluations_per_action=1)
    assert compare_cells([nominal, light]).numbers["warnings"] == []
    light.config["checkpoint_crc32"] = "another model"
    assert "randomize" in compare_cells([nominal, light]).text
