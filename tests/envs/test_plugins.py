"""Plugins and what they register: whole or not at all, and named where they are wrong."""

import os
from dataclasses import dataclass

import pytest

from vjepa_sim.envs import plugins
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.plugins import VARIABLE, add_plugins
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.envs.tasks.reach import Reach


@dataclass(frozen=True)
class Part:
    name: str


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Writes a plugin's file; the variable and the loaded plugins are as before after the test."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(plugins, "_loaded", dict(plugins.load_plugins()))
    monkeypatch.setattr(OBJECTS, "_parts", dict(OBJECTS._parts))

    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


BROKEN = """
from dataclasses import replace
from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.envs.objects import OBJECTS

OBJECTS.register(replace(OBJECTS["box"], name="crate"))
1 / 0
"""


def test_one_that_fails_leaves_nothing_behind_and_may_be_corrected(plugin):
    path = plugin(BROKEN)
    with pytest.raises(UserError, match=rf"mine.py can't be loaded \(ZeroDivisionError: .*, line 7 of {path}"):
        add_plugins([path])
    assert "crate" not in OBJECTS
    assert os.environ[VARIABLE] == ""
    from vjepa_sim.agents.registry import AGENTS

    assert "mpc" in AGENTS  # the project's own parts stay, also where the plugin imported them first
    plugin(BROKEN.replace("1 / 0", ""))
    add_plugins([path])
    assert "crate" in OBJECTS
    assert os.environ[VARIABLE] == str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit(0)", "it ends Python"),
        ("raise ValueError('one\\n\\x1b[31mtwo')", r"ValueError: one \\x1b\[31mtwo, line 1 of"),
        ("def", "SyntaxError"),
    ],
)
def test_one_that_ends_python_or_prints_escapes_is_the_users_error(plugin, text, message):
    with pytest.raises(UserError, match=message) as error:
        add_plugins([plugin(text)])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("mine.py", r"takes a list of names; given 'mine.py'"),
        ([""], "is no plugin: expected a module"),
        (["."], "is no plugin: expected a module"),
        (["./folder.py"], "this is a folder"),
        (["nothing.py"], "there is no such file"),
        (["a:b/mine.py"], "must not contain ':'"),
    ],
)
def test_other_names_are_refused(plugin, tmp_path, monkeypatch, names, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UserError, match=message):
        add_plugins(names)


def test_a_link_to_a_plugin_is_the_same_plugin(plugin, tmp_path):
    path = plugin(BROKEN.replace("1 / 0", ""))
    (tmp_path / "link.py").symlink_to(path)
    add_plugins([path])
    add_plugins([tmp_path / "link.py"])


@pytest.mark.parametrize("name", ["all", "none", "a" * 65, "Box", "../box", "box\n", None])
def test_names_that_no_option_could_have_are_refused(name):
    with pytest.raises(UserError, match="can't be the name of one part"):
        Registry("part").register(Part(name))


def test_a_part_of_another_class_is_refused():
    with pytest.raises(UserError, match="'thing' must be registered as ObjectSpec, not Part"):
        OBJECTS.register(Part("thing"))


def test_a_part_that_a_subscriber_refuses_is_not_registered():
    registry = Registry("part")

    def refuse(part):
        raise UserError("no")

    registry.subscribe(refuse)
    with pytest.raises(UserError, match="no"):
        registry.register(Part("one"))
    assert registry.registered() == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 0}, "budget 0; expected a whole number"),
        ({"budget": 2.5}, "budget 2.5"),
        ({"budget": True}, "budget True"),
        ({"title": "My Task"}, "title 'My Task'; expected letters"),
        ({"instruction": None}, "instruction None"),
        ({"measures": "xyz"}, "measures 'xyz'; expected a tuple of names"),
    ],
)
def test_a_task_with_a_wrong_member_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        TASKS.register(type("T", (Reach,), {"name": "own", "title": "Own", **changes}))
    assert "own" not in TASKS


def test_a_share_given_twice_is_refused():
    from vjepa_sim.envs.options import Shares

    with pytest.raises(UserError, match="a has two shares"):
        Shares({"a": 1}).instance_from_str(["a=0.2,b=0.3,a=0.5"])


def test_a_part_that_ends_python_is_named(plugin):
    text = "from dataclasses import replace\nfrom vjepa_sim.envs.objects import OBJECTS\n"
    text += "def add(body):\n    raise SystemExit(0)\n"
    path = plugin(text + "OBJECTS.register(replace(OBJECTS['box'], name='crate', add_geoms=add))\n")
    add_plugins([path])
    with pytest.raises(UserError, match=f"Object 'crate' failed with SystemExit: 0, line 4 of {path}"):
        SimEnv("reach", "crate", size=64)
