import json

import pytest

from tests.data.lint.check import MemoryReader, names
from vjepa_sim.data.formats import open_reader
from vjepa_sim.data.lint import lint, plan_quarantine, quarantine
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def broken(episodes_folder, tmp_path):
    """A data set of which one episode has no readable trajectory."""
    import shutil

    root = tmp_path / "set"
    shutil.copytree(episodes_folder, root)
    victim = sorted(root.rglob("trajectory.h5"))[0]
    victim.write_bytes(b"not HDF5")
    return root, victim.parent


def test_quarantine_moves_the_broken_episode_and_notes_why(broken, tmp_path):
    root, folder = broken
    reader = open_reader(root)
    findings = lint(reader)
    assert plan_quarantine(reader, findings) == [folder]
    assert folder.exists(), "a plan moves nothing"
    note = quarantine([folder], root, tmp_path / "out", findings)
    target = tmp_path / "out" / folder.relative_to(root)
    assert not folder.exists() and (target / "trajectory.h5").read_bytes() == b"not HDF5"
    (moved,) = json.loads(note.read_text())["moved"]
    assert moved["episode"] == folder.relative_to(root).as_posix() and moved["why"] and moved["to"] == str(target)
    assert lint(open_reader(root)) == []


def test_quarantine_leaves_episodes_that_only_lack_the_camera(broken):
    root, folder = broken
    reader = open_reader(root)
    findings = lint(reader, "wrist")
    assert {"unreadable", "no camera"} == names(findings)
    assert plan_quarantine(reader, findings) == [folder]


def test_a_second_quarantine_adds_to_the_note(broken, tmp_path):
    root, _ = broken
    for folder in sorted(path.parent for path in root.rglob("trajectory.h5"))[:2]:
        note = quarantine([folder], root, tmp_path / "out", [])
    assert len(json.loads(note.read_text())["moved"]) == 2


@pytest.mark.parametrize("case", ["inside", "exists", "outside", "gone"])
def test_quarantine_moves_nothing_when_something_is_wrong(broken, tmp_path, case):
    root, folder = broken
    folders, to = [folder], tmp_path / "out"
    if case == "inside":
        to = root / "out"
    elif case == "exists":
        (to / folder.relative_to(root)).mkdir(parents=True)
    elif case == "outside":
        folders = [folder, root / ".."]
    else:
        folders = [folder, root / "nothing"]
    with pytest.raises(UserError):
        quarantine(folders, root, to, [])
    assert folder.exists() and not (to / "quarantine.json").exists()


def test_episodes_that_share_files_are_not_moved(good):
    reader = MemoryReader([good[0], UserError("damaged")])
    with pytest.raises(UserError, match="Convert"):
        plan_quarantine(reader, lint(reader))
