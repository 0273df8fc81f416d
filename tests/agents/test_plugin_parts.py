"""Agents, baselines, planners and behaviors of plugins in the settings of evaluations and collections."""

import numpy as np
import pytest

from vjepa_sim.agents.collection.config import CollectConfig
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import evaluate
from vjepa_sim.agents.evaluation.in_training import Trial
from vjepa_sim.agents.policies.trivial import StillAgent
from vjepa_sim.agents.registry import AGENTS, AgentSpec, load_agent
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.world_model import WorldModel


@pytest.fixture
def agents(monkeypatch):
    """Registers agents for one test."""
    tuple(AGENTS)  # plugins first

    def register(name, make=lambda setup: StillAgent(), **traits):
        monkeypatch.setitem(AGENTS._parts, name, AgentSpec(name, "of a plugin", make, **traits))

    return register


def test_a_baseline_without_a_skill_is_left_out_of_that_task(slide):
    config = EvaluationConfig()
    assert config.agents_for("slide") == ["mpc", "random", "still"]
    assert config.agents_for("reach") == ["mpc", "expert", "random", "still"]
    assert [note.split(".")[0] for note in config.notes] == ["Left out: slide with cup", "Left out: expert on slide"]
    with pytest.raises(UserError, match="no skill for task 'slide'"):
        EvaluationConfig(baselines=("expert",))


def test_an_agent_without_a_skill_leaves_the_task_out(slide):
    assert {task for task, _ in EvaluationConfig(agent="expert").pairs} == set(TASKS) - {"slide"}
    with pytest.raises(UserError, match="no skill for task 'slide'"):
        EvaluationConfig(agent="expert", tasks=("slide",))


def test_a_collection_leaves_out_what_its_behaviors_cannot_do(slide):
    assert {task for task, _ in CollectConfig(episodes=1).pairs} == set(TASKS) - {"slide"}
    assert ("slide", "box") in CollectConfig(episodes=1, mix={"random": 1.0}).pairs
    with pytest.raises(UserError, match="no skill for task 'slide'"):
        CollectConfig(episodes=1, tasks=("slide",))


def test_tasks_take_turns_then_objects():
    tasks, objects, config = tuple(TASKS), tuple(OBJECTS), CollectConfig(episodes=1)
    for index in range(20):
        assert config.turn(index) == (tasks[index % len(tasks)], objects[index // len(tasks) % len(objects)])


def test_a_plugins_reference_policy_is_a_baseline(agents):
    assert EvaluationConfig().baselines == ("expert", "random", "still")
    agents("frozen", reference=True)
    agents("other")
    assert EvaluationConfig().baselines == ("expert", "random", "still", "frozen")
    with pytest.raises(UserError, match="Unknown baseline 'other'"):
        EvaluationConfig(baselines=("other",))


@pytest.mark.parametrize("name, planner", [("random", "nonsense"), ("bc", "reference")])
def test_an_agent_without_a_planner_takes_none(name, planner):
    with pytest.raises(UserError, match="has no planner"):
        load_agent(name, planner=planner)


def test_an_agent_that_would_never_act_is_refused():
    for options in ({"agent": "bc"}, {"planner": "reference"}):
        with pytest.raises(UserError, match=r"no effect without.*give planner a share"):
            CollectConfig(episodes=1, **options)
    with pytest.raises(UserError, match=r"with an agent \(planner\)"):
        CollectConfig(episodes=1, checkpoint="tiny")
    assert CollectConfig(episodes=1, mix={"planner": 1.0}, checkpoint="bc", agent="bc").agent_planner == "default"


@pytest.mark.slow
def test_a_privileged_agent_with_a_checkpoint_is_made_in_its_environment(agents, tmp_path):
    made = []
    agents("peeking", lambda setup: made.append(setup) or StillAgent(), learned=True, privileged=True, checkpoint="x")
    config = EvaluationConfig(
        agent="peeking", baselines=(), tasks=("reach",), objects=("box",), episodes=1, size=64, videos=0
    )
    info = evaluate(tmp_path / "run", config, lambda *_: None)
    assert [cell["agent"] for cell in info["cells"]] == ["peeking"]
    assert [(setup.checkpoint, setup.env is None) for setup in made] == [("x", False)] * 2


@pytest.mark.slow
def test_what_is_left_out_stands_below_the_table(slide, tmp_path):
    config = EvaluationConfig(agent="still", baselines=(), tasks=("slide",), episodes=1, size=64, videos=0)
    info = evaluate(tmp_path / "run", config, lambda *_: None)
    assert [(cell["task"], cell["object"]) for cell in info["cells"]] == [("slide", "box")]
    assert info["left_out"] == ["Left out: slide with cup. A cup does not slide."]
    assert (tmp_path / "run" / "table.md").read_text().endswith("A cup does not slide.\n")


@pytest.mark.slow
def test_a_trial_takes_the_arm_of_the_models_data_and_what_can_be_done(slide):
    trial, model = Trial(every=1, episodes=1), WorldModel.from_pretrained("tiny")
    config = trial._config_of(model)
    assert (config.arm, config.gripper, config.baselines) == ("panda", "robotiq", ())
    assert ("slide", "box") in config.pairs
    assert ("slide", "cup") not in config.pairs
    model.with_card(data=({"arms": ["ur4"]},))
    with pytest.raises(UserError, match="Unknown arm 'ur4'"):
        trial.check(model)


class Faulty(StillAgent):
    """An agent with a fault of one kind."""

    def __init__(self, kind):
        self.kind = kind

    def act(self, observation):
        """An action, or not."""
        if self.kind == "raises":
            return super().act(observation) / self.kind
        return np.full(7 if self.kind == "nan" else 6, np.nan)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raises", "Agent 'Faulty' failed with .*, line [0-9]+ of .*test_plugin_parts.py"),
        ("six", r"Agent 'Faulty' returned an action of shape \(6,\); expected \(7,\)"),
    ],
)
def test_an_agent_that_fails_is_named(agents, kind, message, tmp_path):
    agents("faulty", lambda setup: Faulty(kind))
    config = EvaluationConfig(agent="faulty", tasks=("reach",), objects=("box",), episodes=1, baselines=(), size=64)
    with pytest.raises(UserError, match=message):
        evaluate(tmp_path / "run", config, lambda *cell: None)


def test_an_agent_that_cannot_be_made_or_lacks_something_is_named(agents):
    with pytest.raises(UserError, match="Agent 'broken' has make None; expected a function"):
        AGENTS.register(AgentSpec("broken", "of a plugin", None))
    agents("broken", lambda setup: setup.no_such_thing)
    with pytest.raises(UserError, match=r"Agent 'broken' failed with AttributeError.* line [0-9]+ of .*plugin_parts"):
        load_agent("broken")
    agents("partial", lambda setup: object())
    with pytest.raises(UserError, match="its object lacks begin, act, model_evaluations, current_goal"):
        load_agent("partial")


def test_episodes_that_a_fault_ended_are_counted_under_the_table(agents, tmp_path):
    agents("faulty", lambda setup: Faulty("nan"))
    config = EvaluationConfig(agent="faulty", tasks=("reach",), objects=("box",), episodes=2, baselines=(), size=64)
    evaluate(tmp_path / "run", config, lambda *cell: None)
    table = (tmp_path / "run" / "table.md").read_text()
    assert "faulty, reach with box: 2 of 2 episodes ended by a fault, the first:" in table
    assert "An action must be finite" in table
