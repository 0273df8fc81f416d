import json

import numpy as np
import pytest

from data.goals import load_goals, save_goals
from envs.errors import UserError
from envs.observation import Goal

CAMERA = {"address": "0"}


def goal(value, size=16, **named):
    return Goal(np.full((size, size, 3), value, np.uint8), **{"steps": 4, **named})


def test_goals_come_back_in_order(tmp_path):
    state = np.arange(7, dtype=np.float32) / 10
    save_goals(tmp_path / "goals", [goal(1, name="grasped"), goal(2, state=state)], CAMERA)
    save_goals(tmp_path / "goals", [goal(3, steps=8)], CAMERA)
    goals = load_goals(tmp_path / "goals")
    assert [each.rgb[0, 0, 0] for each in goals] == [1, 2, 3]
    assert [each.steps for each in goals] == [4, 4, 8]
    assert goals[0].name == "grasped" and goals[0].state is None
    np.testing.assert_array_equal(goals[1].state, state)


def test_another_camera_or_size_is_refused(tmp_path):
    save_goals(tmp_path / "goals", [goal(1)], CAMERA)
    with pytest.raises(UserError, match="another camera"):
        save_goals(tmp_path / "goals", [goal(1)], {"address": "1"})
    with pytest.raises(UserError, match="different sizes"):
        save_goals(tmp_path / "goals", [goal(1, size=8)], CAMERA)
    assert len(load_goals(tmp_path / "goals")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goals": []}, "at least one goal"),
        ({"goals": [{"file": "no.png", "name": "", "steps": 1, "state": None}]}, "can't be read"),
        ({"goals": [{"file": "00.png", "name": "", "steps": 0, "state": None}]}, "1 step or more"),
        ({"goals": [{"file": "00.png", "name": "", "steps": 1, "state": [1, 2]}]}, "7 finite numbers"),
        ({"goals": None}, "can't be read"),
    ],
)
def test_damaged_goals_are_named(tmp_path, change, message):
    save_goals(tmp_path / "goals", [goal(1)], CAMERA)
    path = tmp_path / "goals" / "goals.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        load_goals(tmp_path / "goals")


def test_what_is_no_folder_of_goals_is_named(tmp_path):
    with pytest.raises(UserError, match="capture-goal"):
        load_goals(tmp_path)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        save_goals(tmp_path, [goal(1)], CAMERA)
