import fcntl
import json

import pytest

from vjepa_sim.data.output import LOCK_FILE, claimed
from vjepa_sim.envs.errors import UserError


def test_a_folder_has_one_writer_and_one_configuration(tmp_path):
    out = tmp_path / "run"
    first = claimed(out, "run.json", {"seed": 1, "length": 2}, may_differ=("length",))
    second = claimed(out, "run.json", {"seed": 1, "length": 2})
    with first, pytest.raises(UserError, match="Another process"), second:
        pass
    noted = json.loads((out / "run.json").read_text())
    assert noted["config"] == {"seed": 1, "length": 2}
    with claimed(out, "run.json", {"seed": 1, "length": 3}, may_differ=("length",)):
        pass
    again = json.loads((out / "run.json").read_text())
    assert again["config"]["length"] == 3
    assert again["provenance"] == noted["provenance"]
    with pytest.raises(UserError, match="seed was 1, now 2"), claimed(out, "run.json", {"seed": 2, "length": 3}):
        pass


def test_other_peoples_things_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"), claimed(tmp_path, "run.json", {}):
        pass
    with pytest.raises(UserError, match="is a file"), claimed(tmp_path / "thesis.txt", "run.json", {}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_note_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match="damaged"), claimed(tmp_path, "run.json", {}):
        pass


def test_a_lock_is_never_removed_under_one_who_waits(tmp_path):
    """One who opened the lock file before the first writer ended must lock the same file as one who comes later."""
    with claimed(tmp_path / "run", "run.json", {}):
        waiting = open(tmp_path / "run" / LOCK_FILE)  # noqa: SIM115  (closed below)
    fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with waiting, pytest.raises(UserError, match="Another process"), claimed(tmp_path / "run", "run.json", {}):
        pass
