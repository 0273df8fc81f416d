"""Rewards: one definition for steps and for goals in hindsight, on every environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vjepa_sim.agents.policies.expert import Expert
from vjepa_sim.envs import env_id
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.backends import make_robot
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.goal_conditioned import GoalConditioned
from vjepa_sim.envs.goal_image_env import REWARDS
from vjepa_sim.envs.gymnasium_ids import register
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.scenario import start_of
from vjepa_sim.envs.tasks import TASKS, Reach
from vjepa_sim.envs.tasks.task import select_goals

pytestmark = pytest.mark.slow

SIZE = 32


def goal_conditioned(task, reward):
    return gymnasium.make(env_id(task), object_name="box", size=SIZE, reward=reward, goal_conditioned=True)


def expert_episode(task, reward):
    """Environment after an expert's episode, and the episode's observations, rewards and infos."""
    env = goal_conditioned(task, reward)
    simulated = env.unwrapped
    first, _ = env.reset(seed=1)
    expert = Expert(simulated)
    expert.begin(simulated.goals)
    observations, rewards, infos, truncated = [first], [], [], False
    while not truncated:
        observation, value, _, truncated, info = env.step(expert.act(simulated.observation))
        observations.append(observation)
        rewards.append(value)
        infos.append(info)
    return env, observations, np.array(rewards), infos


@pytest.fixture(scope="module")
def start_and_goals():
    """Start and goals of an episode of reach."""
    env = SimEnv("reach", "box", size=SIZE)
    env.reset(seed=3)
    yield start_of(env.simulation, "reach", 3), env.goals
    env.close()


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_reward_of_goals_is_the_reward_of_the_step_and_rises_to_success(task, reward):
    env, observations, rewards, infos = expert_episode(task, reward)
    compute = env.get_wrapper_attr("compute_reward")
    achieved = np.stack([each["achieved_goal"] for each in observations])
    desired = np.stack([each["desired_goal"] for each in observations])
    assert achieved.shape == desired.shape == (len(rewards) + 1, len(env.unwrapped.task.measures))

    batched = compute(achieved[1:], desired[1:], infos)
    assert batched.dtype == np.float64
    np.testing.assert_array_equal(batched, rewards)
    for row, info in enumerate(infos):
        assert compute(achieved[row + 1], desired[row + 1], info) == rewards[row]

    first, solved = compute(achieved[0], desired[0]), [info["is_success"] for info in infos]
    assert solved[-1]
    if reward == "sparse":
        assert first == 0
        np.testing.assert_array_equal(rewards, solved)
    else:
        assert first < 0
        assert 0.5 < rewards[-1] <= 1
    env.close()

    fresh = TASKS[task]()  # success uses nothing that a reset stores
    np.testing.assert_array_equal(fresh.is_success(achieved[1:], desired[1:]), solved)
    assert np.isfinite(fresh.dense_reward(achieved, achieved)).all()
    assert fresh.is_success(achieved[-1], achieved[-1])  # a goal in hindsight


@pytest.mark.parametrize("reward", REWARDS)
def test_a_robot_gives_the_rewards_of_the_simulator(start_and_goals, reward):
    start, goals = start_and_goals
    simulated = SimEnv("reach", "box", size=SIZE, reward=reward)
    simulated.reset(seed=3)
    env = make_robot("reach", "sim", size=SIZE, start=start, reward=reward)
    try:
        env.reset(options={"goals": goals})
        expert = Expert(simulated)
        expert.begin(simulated.goals)
        for _ in range(simulated.budget):
            action = expert.act(simulated.observation)
            expected = simulated.step(action)[1]
            value = env.step(action)[1]
            assert value == expected
            assert env.reward_of(env.progress.achieved, env.progress.desired) == value
        assert env.progress.success
    finally:
        env.close()
        simulated.close()


def test_a_dense_reward_is_refused_where_a_person_decides():
    with pytest.raises(UserError, match=r"reward='dense' needs the task's own test.*reward='sparse'"):
        make_robot("reach", "sim", size=SIZE, reward="dense")
    env = make_robot("reach", "sim", size=SIZE)
    env.reset(options={"goal": np.zeros((SIZE, SIZE, 3), np.uint8)})
    _, value, _, _, info = env.step(np.zeros(7))
    assert value == 0.0
    assert info["judge"] == "operator"
    env.close()


def test_unknown_rewards_are_refused_with_the_nearest_name(start_and_goals):
    start, _ = start_and_goals
    message = "Unknown reward 'dens'. Did you mean 'dense'"
    with pytest.raises(UserError, match=message):
        gymnasium.make(env_id("reach"), reward="dens")
    with pytest.raises(UserError, match=message):
        goal_conditioned("reach", "dens")
    with pytest.raises(UserError, match=message):
        make_robot("reach", "sim", size=SIZE, start=start, reward="dens")


def test_the_goal_conditioned_form_is_of_the_simulator_alone(start_and_goals):
    start, _ = start_and_goals
    env = make_robot("reach", "sim", size=SIZE, start=start)
    with pytest.raises(UserError, match=r"SimEnv without wrappers; a RobotEnv was given"):
        GoalConditioned(env)
    env.close()
    with pytest.raises(UserError, match="no goal-conditioned form"):
        gymnasium.make(env_id("reach"), backend="noisy-sim", goal_conditioned=True)


@pytest.mark.filterwarnings("ignore:.*WARN")
def test_gymnasium_accepts_the_goal_conditioned_form():
    env = GoalConditioned(SimEnv("reach", "box", size=SIZE, reward="dense"))
    check_env(env, skip_render_check=True)
    env.close()


def test_goals_that_are_no_goals_are_named():
    env = SimEnv("reach", "box", size=SIZE)
    with pytest.raises(UserError, match=r"'goals': expected a list of .*Goal; it holds a ndarray.*'goal'"):
        env.reset(options={"goals": [np.zeros((SIZE, SIZE, 3), np.uint8)]})
    env.close()


def test_the_last_goal_of_a_task_is_of_every_protocol():
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    with pytest.raises(UserError, match=r"last goal is called '\+end'"):
        select_goals([Goal(image, 3, name="middle"), Goal(image, 4, name="+end")], "paper")


def test_two_tasks_with_one_title_are_refused():
    class FarReach(Reach):
        name = "far-reach"

    with pytest.raises(UserError, match=r"'far-reach'.*vjepa_sim/FrankaReach-v0, which task 'reach'.*another title"):
        register(FarReach, ARMS["panda"])
    register(Reach, ARMS["panda"])  # again is fine
