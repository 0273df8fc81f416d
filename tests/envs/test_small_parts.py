"""Meshes, OpenGL, seeds, the doctor."""

import os
import subprocess
import sys

import numpy as np
import pytest

from vjepa_sim.envs import gl
from vjepa_sim.envs.doctor import examine
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.scene.mesh import decimate
from vjepa_sim.envs.seeds import FIRST_TRAINING_SEED, evaluation_seed, training_seed


def sphere(n=24):
    theta, phi = np.meshgrid(
        np.linspace(0.05, np.pi - 0.05, n), np.linspace(0, 2 * np.pi, n, endpoint=False), indexing="ij"
    )
    vertices = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(n - 1), np.arange(n), indexing="ij")
    a, b, c, d = i * n + j, i * n + (j + 1) % n, (i + 1) * n + j, (i + 1) * n + (j + 1) % n
    return vertices, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])


def test_decimation_keeps_the_shape_with_fewer_faces():
    vertices, faces = sphere()
    fewer_vertices, fewer_faces = decimate(vertices, faces, 0.3)
    assert 4 <= len(fewer_faces) < len(faces) / 2
    assert fewer_faces.max() < len(fewer_vertices)
    assert np.all((fewer_faces[:, 0] != fewer_faces[:, 1]) & (fewer_faces[:, 1] != fewer_faces[:, 2]))
    radii = np.linalg.norm(fewer_vertices, axis=1)
    assert radii.min() > 0.8
    assert radii.max() <= 1.0 + 1e-9


def test_a_tiny_mesh_is_left_alone():
    vertices, faces = sphere(6)
    vertices = vertices + 2.0  # all in one cell
    same_vertices, same_faces = decimate(vertices, faces, 100.0)
    assert same_vertices is vertices
    assert same_faces is faces


def test_no_opengl_names_the_apt_line(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "has_library", lambda backend: False)
    monkeypatch.setattr(gl.sys, "platform", "linux")
    with pytest.raises(gl.GLError, match=r"apt-get install -y libegl1.*apt-get install -y libosmesa6"):
        gl.select_backend()
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(gl.GLError, match="apt-get install -y libosmesa6"):
        gl.select_backend()


def test_the_doctor_finds_this_machine_fit(tmp_path):
    checks = list(examine(tmp_path / "picture.png"))
    assert [check for check in checks if not check.ok] == []
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_seeds_of_training_and_evaluation_never_meet():
    assert training_seed(0, 0) == FIRST_TRAINING_SEED
    assert training_seed(2146, 999_999) < 2**32
    assert evaluation_seed(FIRST_TRAINING_SEED - 1, 0) < training_seed(0, 0)
    for bad in (
        lambda: evaluation_seed(FIRST_TRAINING_SEED - 1, 1),
        lambda: evaluation_seed(-1, 0),
        lambda: training_seed(2147, 0),
    ):
        with pytest.raises(UserError, match="seed"):
            bad()


def test_unknown_names_get_a_suggestion():
    assert str(unknown_name("task", "grap", ["grasp", "reach"])) == (
        "Unknown task 'grap'. Did you mean 'grasp'? Choose one of: grasp, reach."
    )


def test_triton_is_loaded_before_the_renderer(tmp_path):
    """Its LLVM crashes the process when that of Mesa's software renderer is loaded already."""
    (tmp_path / "triton.py").write_text("import sys\nprint('mujoco' in sys.modules, 'OpenGL' in sys.modules)\n")
    code, variables = "import vjepa_sim.envs.engine", {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr
