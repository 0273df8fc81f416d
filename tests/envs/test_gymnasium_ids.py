"""The Gymnasium ids."""

import json

import gymnasium
import pytest

import vjepa_sim  # noqa: F401  (registers the environments)
from vjepa_sim.envs import env_id
from vjepa_sim.envs.errors import UserError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "grasp"}, "is task .reach.*use vjepa_sim/FrankaGrasp-v0"),
        ({"task": "pick-and-place", "backend": "noisy-sim"}, "use vjepa_sim/FrankaPickAndPlace-v0"),
        ({"task": "grsp"}, "Did you mean 'grasp'"),
        ({"arm": "pandda"}, "Did you mean 'panda'"),
    ],
)
def test_an_id_keeps_its_task_and_its_arm(settings, message):
    with pytest.raises(UserError, match=message):
        gymnasium.make(env_id("reach"), **settings)


def test_an_id_can_be_given_with_its_own_task():
    env = gymnasium.make(env_id("reach"), task="reach", arm="panda", object_name="box", size=32)
    assert env.unwrapped.task.name == "reach"
    spec = gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json())
    assert json.loads(env.spec.to_json())["id"] == env_id("reach")
    env.close()
    again = gymnasium.make(spec)
    assert again.unwrapped.task.name == "reach"
    assert again.unwrapped.image_shape == (32, 32, 3)
    again.close()
