"""Parts of plugins that are wrong are named: when they are registered, else when they are used."""

from dataclasses import replace

import numpy as np
import pytest

from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import MEETS_BOTH, OBJECTS, Grasp, add_geom
from vjepa_sim.envs.scene.cameras import CAMERAS
from vjepa_sim.envs.sim_env import SimEnv

NAN = float("nan")


def spec_of(registry, name, **changes):
    return replace(registry[name], name="mine", **changes)


@pytest.mark.parametrize(
    ("registry", "usual", "changes", "message"),
    [
        (OBJECTS, "box", {"half_height": NAN}, "Object 'mine' has half_height nan; expected at least 0.001 metres"),
        (OBJECTS, "box", {"color": (2, 0, 0)}, r"has color \(2, 0, 0\); expected red, green and blue"),
        (OBJECTS, "box", {"grasp": Grasp(yaw_period=0.0)}, "has grasp .* expected a Grasp of finite numbers"),
        (OBJECTS, "box", {"grasp": None}, "has grasp None"),
        (OBJECTS, "box", {"half_height": "0.05"}, "has half_height '0.05'"),
        (ARMS, "panda", {"title": "Mine", "home": tuple(ARMS["panda"].home)}, "expected an array of 7 finite numbers"),
        (GRIPPERS, "robotiq", {"driver": None}, "has driver None"),
        (CAMERAS, "right", {"role": ["a"]}, r"has role \['a'\]; expected lower-case"),
        (ARMS, "panda", {"title": "My arm", "joints": ("a",)}, "Arm 'mine' has title 'My arm'; expected letters"),
        (ARMS, "panda", {"title": "Mine", "home": np.zeros(6)}, "has home .* expected an array of 7 finite"),
        (ARMS, "panda", {"title": "Mine", "home": np.full(7, 9.0)}, "expected a posture between joints_low and"),
        (ARMS, "panda", {"title": "Mine", "torque": np.full(7, -1.0)}, "has torque .* none negative"),
        (ARMS, "panda", {"title": "Mine", "end_effector_quaternion": (0, 0, 0, 0)}, "expected a unit quaternion"),
        (ARMS, "panda", {"title": "Mine", "workspace_high": (0.2, 0.35, 0.6)}, "an upper corner above workspace_low"),
        (GRIPPERS, "robotiq", {"fingers": {}}, "Gripper 'mine' has fingers {}; expected for each joint two"),
        (GRIPPERS, "robotiq", {"flange_to_pad": "long"}, "has flange_to_pad 'long'; expected metres"),
        (CAMERAS, "right", {"role": "wrist"}, "Camera 'mine' has role 'wrist', which camera 'wrist' has already"),
        (CAMERAS, "right", {"role": "../up"}, r"has role '../up'; expected lower-case letters"),
        (CAMERAS, "right", {"role": "top", "near": 0.0}, "has near 0.0; expected metres above 0"),
    ],
)
def test_a_part_with_a_wrong_value_is_not_registered(registry, usual, changes, message):
    with pytest.raises(UserError, match=message):
        registry.register(spec_of(registry, usual, **changes))
    assert "mine" not in registry


def test_a_camera_that_looks_along_its_up_is_not_registered():
    viewpoint = replace(CAMERAS["right"].viewpoint, position=(0.4, 0.0, 1.0), target=(0.4, 0.0, 0.0))
    with pytest.raises(UserError, match="up not along the line of sight"):
        CAMERAS.register(spec_of(CAMERAS, "right", role="top", viewpoint=viewpoint))


def no_geoms(body):
    """An object of nothing."""


def size_nan(body):
    add_geom(body, MEETS_BOTH, type=6, size=[NAN, 0.01, 0.01], mass=0.1)


def misspelt(body):
    add_geom(body, MEETS_BOTH, kind=6)


@pytest.mark.parametrize(
    ("add_geoms", "message"),
    [
        (no_geoms, "Object 'mine' can't be compiled by MuJoCo: .*mass and inertia"),
        (size_nan, "Object 'mine' can't be compiled by MuJoCo"),
        (misspelt, "Object 'mine' failed with .*, line [0-9]+ of .*test_part_checks.py"),
    ],
)
def test_an_object_that_cannot_be_built_is_named(add_geoms, message, monkeypatch):
    monkeypatch.setitem(OBJECTS._parts, "mine", spec_of(OBJECTS, "box", add_geoms=add_geoms))
    with pytest.raises(UserError, match=message):
        SimEnv("reach", "mine", size=64)


def test_an_object_whose_resize_fails_is_named(monkeypatch):
    for resize, message in ((lambda *_: 1 / 0, "Object 'mine' failed with Zero"), (lambda *_: 1, "expected 3 sizes")):
        monkeypatch.setitem(OBJECTS._parts, "mine", spec_of(OBJECTS, "box", resize=resize))
        env = SimEnv("reach", "mine", size=64, randomize=1.0)
        with pytest.raises(UserError, match=message):
            env.reset(seed=0)
        env.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": (*ARMS["panda"].joints[:6], "robot0_joint8")}, "joint of arm 'mine' 'robot0_joint8'. Did you mean"),
        ({"flange": ("link7", (0.0, 0.0, 0.1))}, "body of arm 'mine' 'link7'. Did you mean 'robot0_link7'"),
        ({"colliding": ("robot0_lnk6",)}, "body of arm 'mine' 'robot0_lnk6'. Did you mean 'robot0_link6'"),
    ],
)
def test_names_that_robosuites_arm_lacks_are_named(changes, message, monkeypatch):
    monkeypatch.setitem(ARMS._parts, "mine", spec_of(ARMS, "panda", title="Mine", **changes))
    with pytest.raises(UserError, match=f"Unknown {message}"):
        SimEnv("reach", "box", arm="mine", size=64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingers": {"finger": (0.0, 1.0)}}, "Unknown joint of gripper 'mine' 'gripper0_right_finger'. Did you mean"),
        ({"couple": lambda spec: None}, r"couple\(\) of gripper 'mine' has added 0 actuators; expected one"),
        ({"couple": lambda spec: spec.joint("no").name}, "Gripper 'mine' failed with AttributeError.*line"),
    ],
)
def test_a_gripper_that_cannot_be_built_is_named(changes, message, monkeypatch):
    monkeypatch.setitem(GRIPPERS._parts, "mine", spec_of(GRIPPERS, "robotiq", **changes))
    with pytest.raises(UserError, match=message):
        SimEnv("reach", "box", gripper="mine", size=64)
