"""OpenGL and MuJoCo, before anything is rendered."""

import os
import subprocess
import sys

import pytest

from vjepa_sim.envs import gl


def test_no_opengl_names_the_apt_line(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "has_library", lambda backend: False)
    monkeypatch.setattr(gl.sys, "platform", "linux")
    with pytest.raises(gl.GLError, match=r"apt-get install -y libegl1.*apt-get install -y libosmesa6"):
        gl.select_backend()
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(gl.GLError, match="apt-get install -y libosmesa6"):
        gl.select_backend()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"}, "PYOPENGL_PLATFORM=osmesa.*renders with egl"),
        ({"MUJOCO_GL": "off"}, "MUJOCO_GL=off switches rendering off"),
        ({"MUJOCO_GL": "eagle"}, "MUJOCO_GL=eagle is unknown.*egl, osmesa, glfw"),
        ({"MUJOCO_GL": "on"}, "MUJOCO_GL=on opens windows.*DISPLAY.*MUJOCO_GL=egl"),
    ],
)
def test_variables_that_spoil_the_rendering_are_named(monkeypatch, variables, message):
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(gl, "has_library", lambda backend: True)
    monkeypatch.setattr(gl.sys, "platform", "linux")
    with pytest.raises(gl.GLError, match=message):
        gl.select_backend()


def test_without_a_choice_of_ones_own_that_of_pyopengl_holds(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    monkeypatch.setattr(gl, "has_library", lambda backend: True)
    monkeypatch.setattr(gl.sys, "platform", "linux")
    assert gl.select_backend() == os.environ["MUJOCO_GL"] == "osmesa"


def test_triton_is_loaded_before_the_renderer(tmp_path):
    """Its LLVM crashes the process when that of Mesa's software renderer is loaded already."""
    (tmp_path / "triton.py").write_text("import sys\nprint('mujoco' in sys.modules, 'OpenGL' in sys.modules)\n")
    code, variables = "import vjepa_sim.envs.engine", {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr
