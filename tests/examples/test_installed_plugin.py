"""An installed package's plugins are found by their entry points, without --plugin."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.examples.conftest import EXAMPLES

pytestmark = pytest.mark.slow


def test_an_entry_point_is_found(tmp_path):
    shutil.copy(EXAMPLES / "bottle.py", tmp_path / "glassware.py")
    info = tmp_path / "glassware-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: glassware\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vjepa_sim.plugins]\nbottle = glassware\n")
    code = (
        "from vjepa_sim.envs.objects import OBJECTS; from vjepa_sim.envs.plugins import load_plugins; "
        "print(OBJECTS['bottle'].name, load_plugins())"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "bottle {'glassware': 'glassware 1.0'}\n", done.stderr


def test_its_tasks_are_environments_of_gymnasium(tmp_path):
    code = "import gymnasium, vjepa_sim; print('vjepa_sim/FrankaPush-v0' in gymnasium.registry)"
    env = {**os.environ, "VJEPA_SIM_PLUGINS": str(EXAMPLES / "push.py")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
