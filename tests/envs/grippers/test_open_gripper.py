import importlib
import subprocess
import sys

import pytest

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS, open_gripper
from vjepa_sim.envs.grippers.franka_hand_driver import FrankaHand
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
