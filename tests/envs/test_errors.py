"""Messages for people."""

from vjepa_sim.envs.errors import unknown_name


def test_unknown_names_get_a_suggestion():
    assert str(unknown_name("task", "grap", ["grasp", "reach"])) == (
        "Unknown task 'grap'. Did you mean 'grasp'? Choose one of: grasp, reach."
    )
