"""The renderer: when OpenGL starts, and from where it can be used."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vjepa_sim.envs.engine import BACKEND
from vjepa_sim.envs.gl import GLError
from vjepa_sim.envs.simulation import offscreen
from vjepa_sim.envs.simulation.renderer import Renderer
from vjepa_sim.envs.simulation.simulation import Simulation

FORK = """
import gymnasium, numpy as np, vjepa_sim, warnings
warnings.simplefilter("ignore")
def sample():
    envs = gymnasium.make_vec("vjepa_sim/FrankaReach-v0", num_envs=2, vectorization_mode="async",
                              vector_kwargs={"context": "fork"}, object_name="box", size=32)
    try:
        return envs.reset(seed=0)[0]["rgb"].std() > 10
    finally:
        envs.close(terminate=True)
print(sample())
gymnasium.make("vjepa_sim/FrankaReach-v0", object_name="box", size=32).reset()
try:
    sample()
except Exception as error:
    print(type(error).__name__, error)
"""
LATE = """
import gymnasium, vjepa_sim
env = gymnasium.make("vjepa_sim/FrankaReach-v0", object_name="box", size=32)
try:
    print(env.reset(seed=0)[0]["rgb"].std() > 10)
except Exception as error:
    print(type(error).__name__, error)
"""


def printed(code, **variables):
    """What a fresh process prints, without a display and without a choice of OpenGL."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    clean.pop("DISPLAY", None), clean.pop("WAYLAND_DISPLAY", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | variables, capture_output=True, text=True, timeout=60
    )
    return done.stdout.splitlines() or done.stderr


@pytest.fixture(scope="module")
def simulation():
    return Simulation("robotiq", "box")


def test_opengl_starts_with_the_first_image(simulation, monkeypatch):
    monkeypatch.setattr(offscreen, "_backend", lambda: pytest.fail("OpenGL was started"))
    Renderer(simulation.model, 32).close()


def test_every_thread_renders_the_same_image(simulation):
    renderer = Renderer(simulation.model, 32)
    first = renderer.render(simulation.data)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for pool in (one, other, one):
            assert np.array_equal(pool.submit(renderer.render, simulation.data).result(), first)
    assert np.array_equal(renderer.render(simulation.data), first)
    thread = threading.Thread(target=renderer.close)
    thread.start()
    thread.join()
    assert np.array_equal(renderer.render(simulation.data), first)  # starts again
    renderer.close()


def test_one_that_is_closed_while_another_draws_disturbs_nothing(simulation):
    """As when the garbage collector frees it at that moment."""
    left, right = Renderer(simulation.model, 32), Renderer(simulation.model, 32)
    expected = left.render(simulation.data)
    right.render(simulation.data)
    with left._offscreen._current() as drawn:
        right.close()
        offscreen.mujoco.mjr_render(offscreen.mujoco.MjrRect(0, 0, 256, 256), left._scene, drawn)
        image = np.empty((256, 256, 3), np.uint8)
        offscreen.mujoco.mjr_readPixels(image, None, offscreen.mujoco.MjrRect(0, 0, 256, 256), drawn)
    assert image.std() > 10
    assert np.array_equal(left.render(simulation.data), expected)
    left.close()


def test_a_forked_process_is_told_so(simulation, monkeypatch):
    renderer = Renderer(simulation.model, 32)
    renderer.render(simulation.data)
    with monkeypatch.context() as patch:
        patch.setattr(offscreen, "_inherited", [])
        for each in (renderer, Renderer(simulation.model, 32)):
            with pytest.raises(GLError, match=r"started before this process was forked.*spawn"):
                each.render(simulation.data)
    renderer.close()


@pytest.mark.skipif(BACKEND != "egl", reason="EGL chooses among devices")
@pytest.mark.parametrize("device", ["99", "x", "-1", ""])
def test_a_device_that_is_not_there_is_named(simulation, monkeypatch, device):
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", device)
    with pytest.raises(GLError, match=rf"MUJOCO_EGL_DEVICE_ID={device}: expected a whole number from 0 to \d"):
        Renderer(simulation.model, 32).render(simulation.data)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_workers_render_unless_their_parent_has():
    works, *_, refused = printed(FORK)
    assert works == "True"
    assert refused.startswith("GLError OpenGL was started before this process was forked")


@pytest.mark.slow
@pytest.mark.parametrize("before", ["import mujoco", "import robosuite", "import vjepa_sim, mujoco"])
def test_what_was_imported_before_has_not_chosen_the_backend(before):
    assert printed(before + LATE)[-1] == "True"


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "egl", reason="PyOpenGL's own choice is another")
def test_a_choice_of_pyopengl_that_came_before_is_named():
    (line,) = printed("import OpenGL.GL" + LATE)
    assert line.startswith("GLError PyOpenGL was imported before")
    assert "export PYOPENGL_PLATFORM=egl" in line
