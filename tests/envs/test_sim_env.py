import hashlib
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.mujoco.utils import check_mujoco_reset_state
from gymnasium.utils.env_checker import check_env

import vjepa_sim  # noqa: F401  (registers the environments)
from vjepa_sim.agents.policies.expert import Expert
from vjepa_sim.data.video import read_video
from vjepa_sim.envs import env_id
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.envs.tasks.grasping import is_held

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def env():
    made = gymnasium.make(env_id("grasp"), object_name="box", size=64, render_mode="rgb_array", randomize=0.5)
    yield made
    made.close()


def fingerprint(task="grasp", object_name="cup", seed=3) -> str:
    """A hash of states and pictures of an episode of random actions."""
    env = SimEnv(task, object_name, size=64, randomize=1.0)
    digest = hashlib.sha256()
    observation, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    for _ in range(6):
        for value in observation.values():
            digest.update(value.tobytes())
        digest.update(env.data.qpos.tobytes() + env.data.qvel.tobytes())
        observation, *_ = env.step(env.action_space.sample())
    env.close()
    return digest.hexdigest()


@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_accepts_it(task):
    env = gymnasium.make(env_id(task), object_name="cup", size=64, render_mode="rgb_array")
    check_env(env.unwrapped)
    check_mujoco_reset_state(env.unwrapped)
    env.close()


@pytest.mark.parametrize("protocol", ["paper", "dense"])
@pytest.mark.parametrize("task", TASKS)
def test_a_tasks_budget_is_that_of_its_goals(task, protocol):
    env = SimEnv(task, "box", size=32, goals=protocol)
    env.reset(seed=0)
    assert env.budget == sum(goal.steps for goal in env.goals) == TASKS[task].budget
    env.close()


def test_equal_seeds_give_equal_bits_in_another_process():
    code = "from tests.envs.test_sim_env import fingerprint; print(fingerprint())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert fingerprint() == fingerprint() == other
    assert fingerprint(seed=4) != other


def test_success_is_told_on_every_step_and_budgets_end_the_episode(env):
    _, info = env.reset(seed=0)
    assert info["is_success"] is False
    truncated = False
    for step in range(TASKS["grasp"].budget):
        assert not truncated
        _, reward, terminated, truncated, info = env.step(np.zeros(7, np.float32))
        assert info["is_success"] is False
        assert reward == 0.0
        assert not terminated
        assert info["stamp"] > step * 0.25
    assert truncated


def test_save_and_restore_continue_bit_for_bit():
    """With the object in the hand, one step before success, and another episode in between."""
    env = SimEnv("grasp", "box", size=64, randomize=1.0)
    env.reset(seed=1)
    expert = Expert(env)
    expert.begin(env.goals)
    actions = []
    while not env.progress.success:
        saved = env.save()
        actions.append(expert.act(env.observation))
        first = env.step(actions[-1])
    env.reset(seed=2)
    env.restore(saved)
    assert not env.progress.success
    second = env.step(actions[-1])
    for key in first[0]:
        assert np.array_equal(first[0][key], second[0][key]), key
    assert first[1:4] == second[1:4]
    assert second[4]["is_success"]
    assert first[4]["stamp"] == second[4]["stamp"]
    env.close()


def test_holding_for_a_second_takes_a_second():
    env = SimEnv("grasp", "box", size=64)
    env.reset(seed=0)
    expert = Expert(env)
    expert.begin(env.goals)
    held_since = None
    while not env.progress.success:
        _, _, _, _, info = env.step(expert.act(env.observation))
        lifted = env.simulation.object_position()[2] > env.simulation.object_half_height + 0.05
        if lifted and is_held(env.simulation):
            held_since = held_since or info["stamp"]
    assert info["stamp"] - held_since == pytest.approx(1.0, abs=1e-6)
    env.close()


def test_a_goal_image_of_ones_own(env):
    image = np.full((64, 64, 3), 7, np.uint8)
    observation, info = env.reset(seed=0, options={"goal": image})
    assert np.array_equal(observation["goal"], image)
    assert len(info["goals"]) == 1
    with pytest.raises(UserError, match=r"shape \(32, 32, 3\).*expected uint8 of shape \(64, 64, 3\)"):
        env.reset(seed=0, options={"goal": image[:32, :32]})
    with pytest.raises(UserError, match=r"Did you mean 'goal'"):
        env.reset(seed=0, options={"gaol": image})


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(6), r"shape \(7,\)"),
        (np.full(7, np.nan), "finite"),
        (np.full(7, np.inf), "finite"),
        ("up", "7 numbers"),
    ],
)
def test_bad_actions_move_nothing(env, action, message):
    env.reset(seed=0)
    before = env.unwrapped.data.qpos.copy()
    with pytest.raises(UserError, match=message):
        env.unwrapped.step(action)
    assert np.array_equal(env.unwrapped.data.qpos, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "grsp"}, "Did you mean 'grasp'"),
        ({"object_name": "mug"}, "Unknown object 'mug'"),
        ({"gripper": "panda-hand"}, "Did you mean 'panda_hand'"),
        ({"size": 3}, "from 16 to 1024"),
        ({"randomize": 2.0}, r"from 0 to 1"),
        ({"goals": "papr"}, "Did you mean 'paper'"),
        ({"render_mode": "human"}, "Unknown render_mode"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        SimEnv(**arguments)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments(mode):
    # This process has rendered before.
    options = {"context": "spawn"} if mode == "async" else {}
    envs = gymnasium.make_vec(
        env_id("reach"), num_envs=2, vectorization_mode=mode, vector_kwargs=options, object_name="box", size=64
    )
    observation, info = envs.reset(seed=[0, 1])
    assert observation["rgb"].shape == (2, 64, 64, 3)
    assert observation["rgb"].std() > 10
    _, rewards, _, _, info = envs.step(np.zeros((2, 7), np.float32))
    assert rewards.shape == (2,)
    assert info["is_success"].shape == (2,)
    envs.close()


def test_record_video(tmp_path):
    env = gymnasium.make(env_id("reach"), object_name="box", size=64, render_mode="rgb_array")
    env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda episode: True)
    env.reset(seed=0)
    for _ in range(TASKS["reach"].budget):
        env.step(env.action_space.sample())
    env.close()
    (video,) = tmp_path.glob("*.mp4")
    frames = read_video(video)
    assert frames.shape == (TASKS["reach"].budget + 1, 64, 64, 3)
    assert frames[0].std() > 10


def test_pictures_of_all_sizes_look_alike():
    """A small picture is the large one averaged down, so that a model trained on one fits the other."""
    small, large = SimEnv("reach", "cup", size=128), SimEnv("reach", "cup", size=256)
    a, _ = small.reset(seed=2)
    b, _ = large.reset(seed=2)
    averaged = b["rgb"].reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(averaged - a["rgb"]).max() <= 0.5
    small.close(), large.close()
