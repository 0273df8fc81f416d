"""The house keeps its order: imports point down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "envs": {"envs"},
    "data": {"data", "envs"},
    "vjepa_sim": {"vjepa_sim", "data", "envs"},
    "agents": {"agents", "vjepa_sim", "data", "envs"},
}
ROOF = ROOT / "vjepa_sim" / "cli"
ROOMS = {"envs", "data", "vjepa_sim", "agents"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", FLOORS)
def test_imports_point_down(room):
    for path in (ROOT / room).rglob("*.py"):
        if path.is_relative_to(ROOF):
            continue
        assert not any(name.startswith("vjepa_sim.cli") for name in imported(path)), f"{path} imports the roof"
        rooms = {name.split(".")[0] for name in imported(path)} & ROOMS
        assert rooms <= FLOORS[room], f"{path} imports {rooms - FLOORS[room]}"


def test_the_world_knows_no_torch():
    for path in (ROOT / "envs").rglob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), path


def test_the_world_model_knows_no_simulator():
    for path in (ROOT / "vjepa_sim").rglob("*.py"):
        if not path.is_relative_to(ROOF):
            assert not {name.split(".")[0] for name in imported(path)} & {"mujoco", "robosuite"}, path


@pytest.mark.parametrize(
    ("module", "absent"),
    [("envs", "mujoco"), ("vjepa_sim", "torch"), ("vjepa_sim.world_model", "mujoco"), ("agents.mpc", "mujoco")],
)
def test_importing_loads_only_what_is_needed(module, absent):
    code = f"import sys, {module}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_only_the_ceilings_are_given_the_environment():
    """The simulator's truth is for ceilings, and for those who record and judge; no other who acts knows of it."""
    knowing = {
        path.stem
        for path in (ROOT / "agents").glob("*.py")
        if any("franka_env" in module or "simulation" in module for module in imported(path))
    }
    assert knowing <= {"expert", "oracle", "agent", "behaviors", "collect", "evaluate"}
