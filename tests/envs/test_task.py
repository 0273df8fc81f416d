"""Tasks of one's own that lack something are refused by name, when they are registered or reset."""

import numpy as np
import pytest

from vjepa_sim.envs.errors import UserError
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
        ("achieved", np.zeros(4), r"has shape \(4,\); expected \(3,\), for its measures x, y, z"),
    ],
)
def test_what_a_task_returns_is_checked(method, result, message, monkeypatch):
    env = SimEnv("reach", "box", size=64)
    monkeypatch.setattr(Reach, method, lambda self, *arguments: result)
    with pytest.raises(UserError, match=message):
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
    with pytest.raises(UserError, match=r"reset\(\) of task 'reach': desired has shape \(2,\)"):
        env.reset(seed=0)
    env.close()
