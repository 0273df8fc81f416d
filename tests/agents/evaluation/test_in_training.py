import pytest

from vjepa_sim.agents.evaluation.in_training import Trial
from vjepa_sim.envs.errors import UserError
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


def test_the_planner_is_tried_with_a_model_in_training():
    trial = Trial(every=10, episodes=1, tasks=("reach",))
    model = WorldModel.from_pretrained("tiny")
    trial.check(model)
    assert trial.success(model) == {"reach_cup": 1.0, "reach_box": 1.0}


def test_senseless_trials_are_refused():
    with pytest.raises(UserError, match="at least 1"):
        Trial(every=-3, episodes=1)
    with pytest.raises(UserError, match="at least 1"):
        Trial(every=1, episodes=0)
