import numpy as np
import pytest

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.scene.cameras import LEFT
from vjepa_sim.envs.scene.stage import Stage
from vjepa_sim.envs.scene.variation import ASPECTS, Variation, sample_variation
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.simulation import Simulation


def test_strength_zero_is_the_nominal_look():
    assert sample_variation(np.random.default_rng(0), 0.0) == Variation()


def test_equal_seeds_give_equal_looks():
    assert sample_variation(np.random.default_rng(7), 1.0) == sample_variation(np.random.default_rng(7), 1.0)
    assert sample_variation(np.random.default_rng(7), 1.0) != sample_variation(np.random.default_rng(8), 1.0)


def test_a_bad_strength_is_refused():
    with pytest.raises(UserError, match=r"from 0 to 1"):
        sample_variation(np.random.default_rng(0), 1.5)


@pytest.mark.parametrize("object_name", ["cup", "box"])
@pytest.mark.parametrize("scale", [(0.85, 0.9, 0.85), (1.12, 1.12, 1.12)])
def test_a_resized_object_stands_on_the_table(object_name, scale):
    """Bounding volumes that weren't updated let it sink in by millimetres."""
    simulation = Simulation("robotiq", object_name)
    Stage(simulation).apply(Variation(object_scale=scale))
    simulation.reset()
    for _ in range(4):
        simulation.advance(simulation.target)
    assert abs(simulation.object_position()[2] - simulation.object_half_height) < 1e-3


def test_an_object_too_large_is_refused():
    simulation = Simulation("robotiq", "box")
    with pytest.raises(UserError, match="larger than"):
        Stage(simulation).apply(Variation(object_scale=(5, 5, 5)))


def test_aspects_are_all_there_is_and_vary_alone():
    assert sorted(name for names in ASPECTS.values() for name in names) == sorted(Variation.__dataclass_fields__)
    everything = sample_variation(np.random.default_rng(3), 1.0)
    for aspect, names in ASPECTS.items():
        alone = sample_variation(np.random.default_rng(3), 1.0, aspects=[aspect])
        for name in Variation.__dataclass_fields__:
            expected = everything if name in names else Variation()
            assert getattr(alone, name) == getattr(expected, name), (aspect, name)
    with pytest.raises(UserError, match="Did you mean 'light'"):
        sample_variation(np.random.default_rng(3), 1.0, aspects=["lights"])


def test_a_knocked_camera_is_off_by_five_centimetres_and_five_degrees_at_most():
    turns = []
    for seed in range(200):
        left = sample_variation(np.random.default_rng(seed), 1.0).cameras["left"]
        assert np.abs(np.subtract(left.position, LEFT.viewpoint.position)).max() <= 0.05
        before, after = (np.subtract(view.target, view.position) for view in (LEFT.viewpoint, left))
        cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
        turns.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert 5.0 < max(turns) < 5.0 * np.sqrt(2) + 0.1  # to the side and upward at once
    assert np.median(turns) > 2.0


def test_a_seed_starts_alike_under_every_look():
    starts = []
    for randomize, vary in [(0.0, ("light",)), (1.0, ("light", "textures")), (0.5, ("camera", "distractors"))]:
        env = SimEnv("reach", "box", size=32, randomize=randomize, vary=vary)
        observation, info = env.reset(seed=5)
        starts.append((env.simulation.object_position(), observation["state"], info["goals"][0].state))
        env.close()
    for start in starts[1:]:
        for ours, first in zip(start, starts[0], strict=True):
            np.testing.assert_array_equal(ours, first)
