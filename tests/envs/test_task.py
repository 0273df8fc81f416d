"""Tasks of one's own that lack something are refused by name, when they are registered or reset."""

import numpy as np
import pytest

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS, Reach, Task


def without(*names):
    """Reach without some members, under another name."""
    members = {"name": "reach-too", "__module__": __name__}
    kept = {name: getattr(Reach, name) for name in ("title", "budget", "instruction", "measures")}
    methods = {name: vars(Reach)[name] for name in ("reset", "achieved", "is_success", "error")}
    members |= {name: value for name, value in (kept | methods).items() if name not in names}
    return type("ReachToo", (Task,), members)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (without("budget", "error"), "'reach-too' lacks budget, error"),
        (without("measures"), "'reach-too' lacks measures"),
        (without()(), "subclass of"),
    ],
    ids=["members", "measures", "instance"],
)
def test_a_task_that_lacks_something_is_not_registered(task, message):
    with pytest.raises(UserError, match=message):
        TASKS.register(task)
    assert "reach-too" not in TASKS


@pytest.mark.parametrize(
    ("method", "result", "message"),
    [
        ("reset", "a goal", r"reset\(\) of task 'reach' returned 'a goal'; expected a list"),
        ("reset", [], "expected a list of one Goal or more"),
        ("reset", [Goal(np.zeros((32, 32, 3), np.uint8), 5)], "goal image 'goal' of task 'reach' has shape"),
        ("reset", [Goal(np.zeros((64, 64, 3), np.uint8), 0)], "A goal of 0 steps"),
        (
            "achieved",
            np.zeros(4),
            r"an array of shape \(4,\); expected numbers of shape \(3,\), for its measures x, y, z",
        ),
        ("achieved", "far", "is 'far'; expected numbers of shape"),
        ("achieved", np.full(3, np.nan), r"of task 'reach': .* is \[nan nan nan\]; expected finite"),
        ("error", np.nan, r"error\(\) of task 'reach' returned nan; expected finite"),
        ("error", np.zeros(2), r"of task 'reach' returned an array of shape \(2,\) for achieved goals"),
        ("is_success", "yes", r"is_success\(\) of task 'reach' returned 'yes' .* expected numbers of shape \(\)"),
        ("dense_reward", np.nan, r"dense_reward\(\) of task 'reach' returned nan"),
    ],
)
def test_what_a_task_returns_is_checked(method, result, message, monkeypatch):
    env = SimEnv("reach", "box", size=64, reward="dense")
    given = Reach.reset

    def replaced(self, *arguments):
        if method == "reset":
            given(self, *arguments)  # it sets the desired goal
        return result

    monkeypatch.setattr(Reach, method, replaced)
    monkeypatch.setattr(Reach, "__module__", __name__)  # a plugin's
    with pytest.raises(UserError, match=message):
        env.reset(seed=0)
        env.step(np.zeros(7))
    env.close()


def test_a_task_whose_code_fails_is_named_with_its_line(monkeypatch):
    env = SimEnv("reach", "box", size=64)
    monkeypatch.setattr(Reach, "__module__", __name__)
    monkeypatch.setattr(Reach, "achieved", lambda self, simulation: simulation.no_such_thing)
    with pytest.raises(UserError, match=r"Task 'reach' failed with AttributeError: .*, line [0-9]+ of .*test_task.py"):
        env.reset(seed=0)
    env.close()


def test_a_reset_without_a_desired_goal_is_named(monkeypatch):
    env = SimEnv("reach", "box", size=64)
    reset = Reach.reset

    def forgetful(self, *arguments):
        goals = reset(self, *arguments)
        self.desired = np.zeros(2)
        return goals

    monkeypatch.setattr(Reach, "reset", forgetful)
    with pytest.raises(UserError, match=r"reset\(\) of task 'reach': desired is an array of shape \(2,\)"):
        env.reset(seed=0)
    env.close()
