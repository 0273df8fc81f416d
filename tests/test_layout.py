"""The house keeps its order: imports point down only, and every module has one name."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each package may import of the others. Inside vjepa_sim/, these are links to the folders at the top.
FLOORS = {
    "envs": {"envs"},
    "data": {"data", "envs"},
    "vjepa_sim": {"vjepa_sim", "data", "envs"},
    "agents": {"agents", "vjepa_sim", "data", "envs"},
}
LINKED = ("envs", "data", "agents")
ROOF = ROOT / "vjepa_sim" / "cli"
MOST_POSITIONAL = 4  # self not counted; forward() of a torch module is left out, for its caller is torch
MOST_LINES = 400  # of one file
PRIVILEGED = {"expert", "oracle"}  # agents that are given the environment


def sources(package: str, root: Path = ROOT) -> list[Path]:
    """All files of one package, in every subfolder; links lead to the other packages and are not followed."""
    return [
        path
        for path in (root / package).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.relative_to(root).parents if str(parent) != ".")
        and not (package == "vjepa_sim" and path.relative_to(root / package).parts[0] in LINKED)
    ]


def imported(path: Path, at_once: bool = False) -> set[str]:
    """Dotted names that a file imports, those of ``from a import b`` as ``a.b`` as well.

    Args:
        path: The file.
        at_once: Whether to leave out imports within functions, or for types alone.
    """
    tree, names = ast.parse(path.read_text()), set()
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def room_of(name: str, root: Path) -> str | None:
    """The sub-package, or the module beside these, that a dotted name of ours belongs to."""
    package = package_of(name)
    if package is None:
        return None
    inside = name.split(".")[2 if package in LINKED else 1 :]
    room = root / package / (inside[0] if inside else "__init__")
    return f"{package}/{room.name}" if inside and (room.is_dir() or room.with_suffix(".py").exists()) else None


def rooms(root: Path) -> dict[str, set[str]]:
    """Which rooms each room imports at once."""
    found: dict[str, set[str]] = {}
    for package in FLOORS:
        for path in sources(package, root):
            inside = path.relative_to(root).with_suffix("")
            ours = "/".join(inside.parts[:2])
            names = imported(path, at_once=True)
            found.setdefault(ours, set()).update({room_of(name, root) for name in names} - {None, ours})
    return found


def cycle(root: Path) -> list[str]:
    """Rooms that import each other in a circle, or none."""
    try:
        TopologicalSorter(rooms(root)).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def relative(path: Path) -> set[str]:
    """Relative imports: the laws read absolute ones."""
    return {name for name in imported(path) if name.startswith(".")}


def package_of(name: str) -> str | None:
    """The package of ours that a dotted name belongs to."""
    first, *rest = name.split(".")
    if first != "vjepa_sim":
        return None
    return rest[0] if rest and rest[0] in LINKED else "vjepa_sim"


def imports_up(path: Path, package: str) -> set[str]:
    """What a file imports and mustn't."""
    names = imported(path)
    # `from vjepa_sim.envs import x` names vjepa_sim.envs.x; of a bare `vjepa_sim` only the package itself is meant.
    packages = {package_of(name) for name in names} - {None}
    if package in LINKED and names & {"vjepa_sim"} and not any(package_of(name) == "vjepa_sim" for name in names):
        packages.add("vjepa_sim")
    found = packages - FLOORS[package]
    return found | ({"vjepa_sim.cli"} if any(name.startswith("vjepa_sim.cli") for name in names) else set())


def bare_names(path: Path) -> set[str]:
    """Imports by a name that isn't installed: the same module would be loaded twice."""
    return {name for name in imported(path) if name.split(".")[0] in LINKED}


def loads(path: Path, *libraries: str) -> set[str]:
    """Which of some libraries a file imports."""
    return {name.split(".")[0] for name in imported(path)} & set(libraries)


def too_long(path: Path) -> int:
    """Number of a file's lines where it is above the limit, else 0."""
    count = len(path.read_text().splitlines())
    return count if count > MOST_LINES else 0


def too_many_positional(path: Path) -> list[str]:
    """Public callables of a file that take more than four positional arguments."""
    return list(_too_many(ast.parse(path.read_text()), path.stem, within=None))


def _too_many(node: ast.Module | ast.ClassDef, prefix: str, within: ast.ClassDef | None) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.ClassDef) and not each.name.startswith("_"):
            if _positional_fields(each) > MOST_POSITIONAL:
                yield f"{prefix}.{each.name}"
            yield from _too_many(each, f"{prefix}.{each.name}", within=each)
        elif isinstance(each, ast.FunctionDef) and (not each.name.startswith("_") or each.name == "__init__"):
            bound = within is not None and "staticmethod" not in map(ast.unparse, each.decorator_list)
            count = len(each.args.posonlyargs) + len(each.args.args) - bound
            if count > MOST_POSITIONAL and not (within is not None and each.name == "forward"):
                yield f"{prefix}.{each.name}"


def _positional_fields(node: ast.ClassDef) -> int:
    """Number of a dataclass's own fields that its constructor takes by position."""
    decorators = [ast.unparse(each) for each in node.decorator_list]
    if not any(each.startswith("dataclass") and "kw_only=True" not in each for each in decorators):
        return 0
    count = 0
    for each in node.body:
        if isinstance(each, ast.AnnAssign):
            annotation = ast.unparse(each.annotation)
            if annotation == "KW_ONLY":
                break
            count += not annotation.startswith("ClassVar") and "init=False" not in ast.unparse(each)
    return count


@pytest.mark.parametrize("package", FLOORS)
def test_imports_point_down(package):
    for path in sources(package):
        if not path.is_relative_to(ROOF):
            assert not imports_up(path, package), f"{path} imports {imports_up(path, package)}"


@pytest.mark.parametrize("package", [*FLOORS, "tests"])
def test_no_module_is_imported_by_a_bare_name(package):
    for path in sources(package):
        assert not relative(path), f"{path} imports {relative(path)}; write the whole name"
        assert not bare_names(path), f"{path} imports {bare_names(path)}; write vjepa_sim.{sorted(bare_names(path))[0]}"


def test_rooms_import_each_other_in_no_circle():
    assert not cycle(ROOT)
    assert {"envs/arms", "agents/planning", "vjepa_sim/models"} <= rooms(ROOT).keys()


def test_a_circle_of_rooms_is_found(tmp_path):
    for path, name in (("envs/scene/a.py", "vjepa_sim.envs.pose"), ("envs/pose.py", "vjepa_sim.envs.scene.a")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"from {name} import x")
    assert set(cycle(tmp_path)) == {"envs/scene", "envs/pose"}
    (tmp_path / "envs/pose.py").write_text("def later():\n    from vjepa_sim.envs.scene.a import x")
    assert not cycle(tmp_path)


def test_the_world_knows_no_torch():
    for path in sources("envs"):
        assert not loads(path, "torch"), path


def test_the_world_model_knows_no_simulator():
    for path in sources("vjepa_sim"):
        if not path.is_relative_to(ROOF):
            assert not loads(path, "mujoco", "robosuite"), path


@pytest.mark.parametrize("package", FLOORS)
def test_no_public_callable_takes_more_than_four_positional_arguments(package):
    for path in sources(package):
        assert not too_many_positional(path), f"{path}: {too_many_positional(path)}; make the rest keyword-only"


@pytest.mark.parametrize("folder", [*FLOORS, "tests", "examples"])
def test_no_file_is_longer_than_400_lines(folder):
    for path in sources(folder):
        assert not too_long(path), f"{path} has {too_long(path)} lines; split it by subject"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("vjepa_sim.envs", "mujoco"),
        ("vjepa_sim", "torch"),
        ("vjepa_sim.cli", "torch"),
        pytest.param("vjepa_sim.world_model", "mujoco", marks=pytest.mark.slow),
        pytest.param("vjepa_sim.agents.planning.mpc", "mujoco", marks=pytest.mark.slow),
    ],
)
def test_importing_loads_only_what_is_needed(module, absent):
    code = f"import sys, {module}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def sees_the_simulator(path: Path) -> bool:
    """Whether an agent's file imports the simulator, and is none of the upper bounds."""
    return path.stem not in PRIVILEGED and any(
        "sim_env" in name or "envs.simulation" in name for name in imported(path)
    )


@pytest.mark.parametrize("room", ["policies", "planning"])
def test_only_the_upper_bounds_import_the_simulator(room):
    """Privileged information is for them alone."""
    for path in sources(f"agents/{room}"):
        assert not sees_the_simulator(path), path


@pytest.mark.parametrize(
    ("law", "path", "text"),
    [
        (lambda path: imports_up(path, "envs"), "envs/deep/inside.py", "from vjepa_sim.data.clips import Clips"),
        (lambda path: imports_up(path, "envs"), "envs/deep/inside.py", "from vjepa_sim import data"),
        (lambda path: imports_up(path, "data"), "data/deep/inside.py", "import vjepa_sim.world_model"),
        (lambda path: imports_up(path, "data"), "data/deep/inside.py", "from vjepa_sim import WorldModel"),
        (lambda path: imports_up(path, "vjepa_sim"), "vjepa_sim/models/inside.py", "from vjepa_sim.agents import x"),
        (lambda path: imports_up(path, "agents"), "agents/deep/inside.py", "from vjepa_sim.cli import main"),
        (bare_names, "agents/deep/inside.py", "def later():\n    from data.clips import Clips"),
        (bare_names, "tests/deep/inside.py", "import envs"),
        (relative, "agents/deep/inside.py", "from .. import rollout"),
        (sees_the_simulator, "agents/planning/inside.py", "def later():\n    import vjepa_sim.envs.sim_env"),
        (lambda path: loads(path, "torch"), "envs/deep/inside.py", "import torch.nn as nn"),
        (lambda path: loads(path, "mujoco"), "vjepa_sim/deep/inside.py", "import mujoco"),
        pytest.param(too_long, "tests/deep/inside.py", "\n" * 401, id="too_long"),
        (too_many_positional, "agents/deep/inside.py", "def act(a, b, c, d, e): ..."),
        (too_many_positional, "data/deep/inside.py", "class Reader:\n    def __init__(self, a, b, c, d, e): ..."),
        (
            too_many_positional,
            "envs/deep/inside.py",
            "@dataclass(frozen=True)\nclass Start:\n    a: int\n    b: int\n    c: int\n    d: int\n    e: int = 0",
        ),
    ],
)
def test_each_law_is_broken_by_what_it_forbids(law, path, text, tmp_path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert [each for each in sources(path.split("/")[0], tmp_path) if law(each)] == [tmp_path / path]
