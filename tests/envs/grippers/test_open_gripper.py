import importlib
import subprocess
import sys
from contextlib import closing

import pytest

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS, PANDA_HAND, ROBOTIQ, open_gripper
from vjepa_sim.envs.grippers.franka_hand_driver import FrankaHand
from vjepa_sim.envs.grippers.gripper_spec import side_of_finger
from vjepa_sim.envs.grippers.robotiq_driver import Robotiq2F85


def test_every_gripper_of_the_scene_has_a_driver():
    for spec in GRIPPERS.values():
        module, _, name = spec.driver.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_an_unknown_kind_is_refused_with_a_suggestion():
    with pytest.raises(UserError, match="Did you mean 'robotiq'"):
        open_gripper("robotic", "/dev/null")


@pytest.mark.parametrize(
    ("module", "driver", "extra"),
    [("franky", FrankaHand, "vjepa-sim[franka]"), ("pyrobotiqgripper", Robotiq2F85, "vjepa-sim[robotiq]")],
)
def test_a_missing_library_is_named_with_its_extra(monkeypatch, module, driver, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as caught:
        driver("somewhere")
    assert f'pip install "{extra}"' in str(caught.value)


def test_drivers_are_imported_only_when_used():
    program = (
        "import sys, vjepa_sim.envs.grippers\n"
        "assert not {'franky', 'pyrobotiqgripper', 'pymodbus', 'mujoco', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_names_of_bodies_give_the_finger_and_the_panda_hand_has_its_own():
    assert [side_of_finger(body) for body in ("left_inner_finger", "right_finger", "eef")] == ["left", "right", None]
    assert side_of_finger("finger_joint1_tip") is None
    bodies = ("leftfinger", "finger_joint1_tip", "rightfinger", "finger_joint2_tip", "eef")
    assert [PANDA_HAND.finger_side(body) for body in bodies] == ["left", "left", "right", "right", None]


def test_a_loopback_gripper_is_stopped_at_a_closedness(tmp_path):
    with closing(ROBOTIQ.loopback(tmp_path / "port")) as gripper:
        gripper.block(0.5)
        assert gripper.object_at == 115
        gripper.block(None)
        assert gripper.object_at is None
