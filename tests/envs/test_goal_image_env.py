"""One contract for the simulator's environment and a robot's."""

import copy
import gc
import pickle
import threading
import weakref
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

import vjepa_sim  # noqa: F401  (registers the environments)
from vjepa_sim.envs import env_id
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.goal_image_env import EnvClosed
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.sim_env import SimEnv

SIZE = 32
IMAGE = np.full((SIZE, SIZE, 3), 7, np.uint8)
STILL = np.zeros(7, np.float32)


def make(backend, **settings):
    settings = {"object_name": "box", "size": SIZE, "render_mode": "rgb_array", **settings}
    return gymnasium.make(env_id("reach"), backend=backend, **settings)


def begin(env, **options):
    return env.reset(seed=0, options={"goal": IMAGE, **options})


@pytest.fixture(scope="module", params=["sim", "noisy-sim"])
def env(request):
    made = make(request.param)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goals": [IMAGE]}, "expected a list of one or more.*Goal; it holds a ndarray.*single image.*'goal'"),
        ({"goals": np.stack([IMAGE])}, "a ndarray was given"),
        ({"goals": Goal(IMAGE, 3)}, "a Goal was given"),
        ({"goals": []}, "an empty one was given"),
        ({"goals": None}, "a NoneType was given"),
        ({"goals": [Goal(IMAGE, 0)]}, "A goal of 0 steps"),
        ({"goals": [Goal(IMAGE, 2.5)]}, "A goal of 2.5 steps"),
        ({"goal": Goal(IMAGE, 3)}, r"expected uint8 of shape \(32, 32, 3\)"),
        ({"goal": IMAGE[:8]}, r"expected uint8 of shape \(32, 32, 3\)"),
        ({"goal": IMAGE, "goals": [Goal(IMAGE, 3)]}, "not both"),
        ({"gaol": IMAGE}, "Did you mean 'goal'"),
        ([IMAGE], "options must be a dict"),
    ],
)
def test_options_of_a_wrong_type_are_named_and_the_episode_goes_on(env, options, message):
    begin(env)
    with pytest.raises(UserError, match=message):
        env.reset(seed=1, options=options)
    env.step(STILL)


@pytest.mark.parametrize("backend", ["sim", "noisy-sim"])
def test_after_a_first_reset_that_was_refused_all_goes_on(backend):
    env = make(backend)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.step(STILL)
    assert env.unwrapped.arm.arm.simulation.time == 0
    with pytest.raises(UserError, match="gaol"):
        env.reset(options={"gaol": 1})
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.step(STILL)
    begin(env)
    env.step(env.action_space.sample())
    env.close()


@pytest.mark.parametrize("backend", ["sim", "noisy-sim"])
def test_a_closed_environment_has_gymnasiums_error(backend):
    env = make(backend)
    begin(env)
    env.close()
    env.close()
    for use in (lambda: begin(env), lambda: env.step(STILL), env.render, lambda: env.unwrapped.observation):
        with pytest.raises(EnvClosed, match="closed; make a new one"):
            use()
    assert issubclass(EnvClosed, gymnasium.error.ClosedEnvironmentError)


@pytest.mark.parametrize("backend", ["sim", "noisy-sim"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"render_mode": "human"}, "Unknown render_mode 'human'"),
        ({"render_mode": "nonsense"}, "Unknown render_mode 'nonsense'"),
        ({"viewpoint": 3}, "viewpoint=3: expected a vjepa_sim"),
        ({"limits": 3}, "limits must be a vjepa_sim"),
        ({"period": "fast"}, "period='fast': expected seconds"),
        ({"size": "big"}, "size='big'"),
        ({"object_name": ["box"]}, "Unknown object"),
        ({"reward": "dens"}, "Did you mean 'dense'"),
    ],
)
def test_settings_of_a_wrong_type_are_named(backend, settings, message):
    with pytest.raises(UserError, match=message):
        make(backend, **settings)


@pytest.mark.parametrize("name", ["start", "imperfections"])
def test_settings_of_a_robot_of_a_wrong_type_are_named(name):
    with pytest.raises(UserError, match=rf"{name}=3: expected a vjepa_sim\.envs\."):
        make("noisy-sim", **{name: 3})


def test_the_budget_is_the_sum_of_the_goals_steps(env):
    env.reset(options={"goals": [Goal(IMAGE, 2), Goal(IMAGE, 3)]})
    assert [env.step(STILL)[3] for _ in range(5)] == [False, False, False, False, True]


def test_what_is_drawn_on_changes_nothing(env):
    given = IMAGE.copy()
    goals = [Goal(given, 3, np.zeros(7, np.float32))]
    observation, info = env.reset(seed=0, options={"goals": goals})
    inside = env.unwrapped
    seen, aims = inside.observation, inside.goals
    shown = [given, env.render(), *observation.values(), inside.observation.rgb, inside.observation.state]
    shown += [info["goals"][0].rgb, info["goals"][0].state, goals[0].state, inside.goals[0].rgb]
    if inside.progress is not None:
        shown += [inside.progress.achieved, inside.progress.desired]
    for array in shown:
        assert array.flags.writeable  # torch.from_numpy warns of others
        array[...] = 99
    info["goals"].clear()
    assert np.array_equal(inside.observation.rgb, seen.rgb)
    assert np.array_equal(inside.observation.state, seen.state)
    assert np.array_equal(inside.goals[0].rgb, aims[0].rgb)
    assert np.array_equal(inside.goals[0].state, aims[0].state)
    assert np.array_equal(env.render(), seen.rgb)
    observation, *_, info = env.step(STILL)
    assert np.array_equal(observation["goal"], IMAGE)
    assert info["is_success"] is False


def test_desired_goals_that_are_changed_change_no_success():
    env = make("sim")
    env.reset(seed=0)
    error = env.step(STILL)[4]["error"]
    env.unwrapped.progress.desired[:] = 0
    assert env.step(STILL)[4]["error"] == pytest.approx(error, abs=1e-3)
    env.close()


def test_a_second_thread_is_refused(env, monkeypatch):
    begin(env)
    inside, refused = env.unwrapped, []
    observe = inside.arm.arm.observe

    def meanwhile():
        for use in (lambda: inside.step(STILL), lambda: inside.reset(seed=0, options={"goal": IMAGE})):
            with pytest.raises(UserError, match="in use by another thread") as caught:
                use()
            refused.append(caught)

    def slow():
        thread = threading.Thread(target=meanwhile)
        thread.start()
        thread.join()
        return observe()

    with monkeypatch.context() as patch:
        patch.setattr(inside.arm.arm, "observe", slow)
        env.step(STILL)
    assert len(refused) == 2
    thread = threading.Thread(target=lambda: refused.append(env.step(STILL)))
    thread.start()
    thread.join()
    assert len(refused) == 3  # one after the other


@pytest.mark.slow
@pytest.mark.parametrize("how", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_its_own_way(how):
    env = make("sim", randomize=1.0)
    env.reset(seed=0)
    env.step(np.full(7, 0.02, np.float32))
    other = how(env)
    apart = other.step(np.full(7, -0.05, np.float32))[0]
    env.close()
    third = how(other)
    first, second = (each.step(STILL) for each in (other, third))
    for key in first[0]:
        assert np.array_equal(first[0][key], second[0][key])
    assert not np.array_equal(first[0]["state"], apart["state"])
    assert np.array_equal(other.reset()[0]["rgb"], third.reset()[0]["rgb"])
    other.close(), third.close()


def test_what_cannot_be_copied_is_told():
    env, robot = make("sim"), make("noisy-sim")
    with pytest.raises(UserError, match=r"copy\.deepcopy"):
        copy.copy(env.unwrapped)
    for how in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(UserError, match="a robot has one owner"):
            how(robot.unwrapped)
    env.close(), robot.close()


@pytest.mark.parametrize("settings", [{"backend": "sim"}, {"backend": "noisy-sim"}])
def test_what_is_not_closed_is_freed_at_once(settings):
    env = make(**settings)
    begin(env)
    env.step(STILL)
    arm = env.unwrapped.arm.arm
    parts = [weakref.ref(each) for each in (env.unwrapped, arm, arm.renderer._offscreen, arm.simulation)]
    gc.disable()  # it would free circles too, later
    try:
        del env, arm
        assert [part() for part in parts] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.parametrize("goal_conditioned", [False, True])
def test_stable_baselines_accepts_it(goal_conditioned):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gymnasium.make(env_id("reach"), object_name="box", size=64, goal_conditioned=goal_conditioned)
    # It takes compute_reward from the outermost wrapper, where Gymnasium's own have no such method.
    checker.check_env(env.env if goal_conditioned else env, warn=False)
    assert hasattr(env.unwrapped, "compute_reward") is goal_conditioned
    env.close()


def test_a_start_that_fails_leaves_no_half_begun_episode(monkeypatch):
    env = make("sim")
    env.reset(seed=0)
    with monkeypatch.context() as patch:
        patch.setattr(env.unwrapped.task, "reset", lambda *_: [])
        with pytest.raises(UserError, match="expected a list of one Goal or more"):
            env.reset()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(STILL)
    env.reset(seed=0)
    env.step(STILL)
    goal = replace(env.unwrapped.goals[0], steps=1)
    env.reset(options={"goals": (goal,)})
    assert env.step(STILL)[3]
    env.close()


def test_a_snapshot_of_another_environment_is_refused():
    envs = [SimEnv("reach", "box", size=64), SimEnv("grasp", "box", size=64), SimEnv("reach", "box", size=96)]
    for env in envs:
        env.reset(seed=0)
    saved = envs[0].save()
    for other in (*(env.save() for env in envs[1:]), "a snapshot"):
        with pytest.raises(UserError, match="made in reach, box, panda, robotiq at 64 pixels; given"):
            envs[0].restore(other)
    envs[0].restore(saved)
    for env in envs:
        env.close()
