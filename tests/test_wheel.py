"""The wheel works where others have the names ``agents``, ``data`` and ``envs``: packages, folders and files."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FOLDERS = ("vjepa_sim", "envs", "data", "agents")
NEIGHBOUR = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "neighbour"
version = "1"
[tool.setuptools]
packages = ["agents", "data", "envs"]
"""


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def build(source, out):
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new environment with two wheels, ours and a neighbour's; returns its folder of commands."""
    folder = tmp_path_factory.mktemp("wheel")
    source, neighbour, wheels, env = (folder / name for name in ("source", "neighbour", "wheels", "env"))
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("agents", "data", "envs"):
        (neighbour / name).mkdir(parents=True)
        (neighbour / name / "__init__.py").write_text('OWNER = "neighbour"\n')
    (neighbour / "pyproject.toml").write_text(NEIGHBOUR)
    build(source, wheels)
    build(neighbour, wheels)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    pip("--python", str(env / "bin" / "python"), "install", "--no-deps", *map(str, wheels.glob("*.whl")))
    # Dependencies are this environment's: a path in a .pth file brings packages, but no editable install of ours.
    [site] = env.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return env / "bin"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A user's folder with names of ours in it."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "data").mkdir()
    (folder / "data" / "notes.txt").write_text("mine\n")
    (folder / "envs").mkdir()
    (folder / "envs" / "__init__.py").write_text('OWNER = "user"\n')
    (folder / "agents.py").write_text('OWNER = "user"\n')
    return folder


def run(command, workplace):
    """Output of a command in the user's folder, without variables that would bring the checkout in."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=workplace, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_runs_beside_the_users_own_names(environment, workplace):
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    script = workplace / "first.py"
    script.write_text(
        block
        + "import agents, data, envs, vjepa_sim.envs, vjepa_sim.data\n"
        + "print(agents.OWNER, envs.OWNER, vjepa_sim.envs.__file__)\n"
    )
    out = run([environment / "python", script], workplace)
    assert out.startswith("True ")
    *_, last = out.splitlines()
    assert last.startswith("user user ") and str(environment.parent) in last


def test_the_neighbours_packages_stay_theirs(environment, tmp_path):
    code = "import agents, data, envs, vjepa_sim.agents; print(agents.OWNER, data.OWNER, envs.OWNER)"
    assert run([environment / "python", "-c", code], tmp_path) == "neighbour neighbour neighbour\n"


def test_the_command_evaluates_there(environment, workplace):
    out = run(
        [environment / "vjepa-sim", "eval", "--agent", "mpc", "--checkpoint", "tiny", "--task", "reach"]
        + ["--object", "box", "--episodes", "1", "--seed", "0", "--out", "outputs/reach"]
        + ["--size", "128", "--baselines", "none", "--videos", "0"],
        workplace,
    )
    assert "| reach | box | mpc |" in out
    assert (workplace / "outputs" / "reach" / "eval_info.json").is_file()
