"""What a look costs: which runs belong together, and against what each is held."""

import pytest

from vjepa_sim.agents.comparison.conditions import compare_conditions, condition_of
from vjepa_sim.agents.comparison.evaluation_report import SAME, compare_evaluations
from vjepa_sim.agents.comparison.run_folder import RunFolder, refuse
from vjepa_sim.envs.errors import UserError

NOMINAL = {"randomize": 0.0, "vary": ["camera", "light"], "azimuth": None}
LIGHT = {**NOMINAL, "randomize": 1.0, "vary": ["light"]}


def run_of(agent, look, successes):
    """An evaluation of one cell, whose episodes of these seeds succeeded or not."""
    episodes = [{"seed": seed, "success": won} for seed, won in successes.items()]
    won = sum(successes.values())
    cell = {"agent": agent, "task": "reach", "object": "cup", "n_success": won, "n_episodes": len(episodes)}
    config = {"agent": agent, "checkpoint": agent, "checkpoint_crc32": agent, **look}
    return RunFolder(
        name=f"{agent} {condition_of(look)}",
        folder=None,
        kind="eval",
        config=config,
        cells=[{**cell, "episodes": episodes}],
        method={},
        complete=True,
        provenance={},
    )


def test_a_look_is_held_against_the_same_agents_first():
    runs = [
        run_of("mpc", NOMINAL, {0: True, 1: True, 2: True, 3: False}),
        run_of("bc", NOMINAL, {0: True, 1: True}),
        run_of("mpc", LIGHT, {1: False, 2: False, 3: False, 9: True}),
        run_of("bc", LIGHT, {0: True, 1: False}),
        run_of("octo", LIGHT, {0: True}),
    ]
    made = compare_conditions(runs)
    told = {(each["agent"].split()[0], each["look"]): each for each in made.numbers["looks"]}
    assert told["mpc", "light"]["points"] == pytest.approx(-200 / 3)  # two of the three that both have
    assert (told["mpc", "light"]["n"], told["mpc", "light"]["p_value"]) == (3, 0.5)
    assert told["bc", "light"]["points"] == -50
    assert ("octo", "light") not in told and "octo" not in made.text
    assert "| bc with bc | 2/2 (34–100 %) | 1/2 (9–91 %), -50.0 points, p = 1 |" in made.text


def test_nothing_is_told_of_one_look():
    made = compare_conditions([run_of("mpc", NOMINAL, {0: True}), run_of("bc", LIGHT, {0: True})])
    assert (made.text, made.numbers) == ("", {})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "nominal"),
        ({"randomize": 1.0, "vary": ["textures", "color"]}, "textures, color"),
        ({"randomize": 1.0, "vary": ["color", "textures"]}, "textures, color"),
        ({"randomize": 0.5, "vary": ["camera"]}, "camera at 0.5"),
        ({"azimuth": 45.0}, "camera at 45°"),
        ({"randomize": 1.0, "vary": ["light"], "azimuth": 45.0}, "light; camera at 45°"),
    ],
)
def test_looks_have_names(changed, told):
    assert condition_of({**NOMINAL, **changed}) == told


def alike(*runs):
    """The same runs with what reports need besides."""
    for run in runs:
        run.config.update({"goals": "paper", "gripper": "robotiq", "period": 0.25})
        run.cells[0].update(plan_seconds_median=0.1, model_evaluations_per_action=1)
    return list(runs)


def test_agents_are_held_against_those_of_their_own_look():
    runs = alike(
        run_of("mpc", NOMINAL, {0: True, 1: True}),
        run_of("bc", NOMINAL, {0: True, 1: False}),
        run_of("mpc", LIGHT, {0: True, 1: False}),
        run_of("bc", LIGHT, {0: False, 1: False}),
    )
    made = compare_evaluations(runs)
    assert [(cell["first"], cell["second"]) for cell in made.numbers["cells"]] == [
        ("mpc nominal", "bc nominal"),
        ("mpc nominal", "mpc light"),
        ("mpc light", "bc light"),
    ]
    assert made.numbers["warnings"] == []  # what a look costs has a table of its own
    assert "| bc light | 0/2 | 0/2 (0–66 %) | -50.0 points over 2 against mpc light | 1 |" in made.text


def test_another_agent_under_another_look_is_warned_of():
    made = compare_evaluations(alike(run_of("mpc", NOMINAL, {0: True}), run_of("bc", LIGHT, {0: True})))
    assert any("randomize" in line for line in made.numbers["warnings"])


def test_released_policies_are_told_apart_by_their_names_and_what_is_scored_twice_has_two_rows():
    small, base = run_of("octo", NOMINAL, {0: True}), run_of("octo", LIGHT, {0: True})
    for run, name in ((small, "octo-small"), (base, "octo-base")):
        run.config.update(checkpoint=name, checkpoint_crc32=None)
    assert compare_conditions([small, base]).text == ""
    again = [run_of("mpc", look, {0: won}) for look, won in ((NOMINAL, True), (NOMINAL, False), (LIGHT, True))]
    (row,) = [line for line in compare_conditions(again).text.splitlines() if line.startswith("| mpc")]
    assert "| 1/1 (21–100 %) | 1/1 (21–100 %), +0.0 points" in row


def test_periods_must_be_the_same():
    runs = alike(run_of("mpc", NOMINAL, {0: True}), run_of("bc", NOMINAL, {0: True}))
    runs[1].config["period"] = 1.06
    with pytest.raises(UserError, match="period"):
        refuse(runs, SAME)
