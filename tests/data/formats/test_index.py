"""What a data set holds is looked up once."""

import json
import os

import h5py
import numpy as np
import pytest

from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.agents.bench.data import make_many
from vjepa_sim.data.clips import Clips
from vjepa_sim.data.formats import open_reader
from vjepa_sim.data.formats.droid import DroidReader, describe, write_episode
from vjepa_sim.data.formats.format import Entry
from vjepa_sim.data.formats.index import index_file, indexed
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.video import write_video

pytestmark = pytest.mark.slow


@pytest.fixture
def looked_up(monkeypatch):
    """Names of the episodes whose files were looked into."""
    names = []

    def watched(root, name):
        names.append(name)
        return describe(root, name)

    monkeypatch.setattr("vjepa_sim.data.formats.droid.reader.describe", watched)
    return names


def test_only_new_and_changed_episodes_are_looked_into(tmp_path, looked_up):
    first, second = (write_episode(tmp_path, index, make_episode(seed=index)) for index in range(2))
    entries = DroidReader(tmp_path).entries
    assert len(looked_up) == 2
    assert DroidReader(tmp_path).entries == entries
    assert len(looked_up) == 2
    third = write_episode(tmp_path, 2, make_episode(seed=2, task="put it down"))
    os.utime(second / "trajectory.h5", ns=(1, 1))
    entries = DroidReader(tmp_path).entries
    assert sorted(looked_up[2:]) == sorted(str(folder.relative_to(tmp_path)) for folder in (second, third))
    assert [entry.task for entry in entries] == ["pick up the box", "pick up the box", "put it down"]
    first.rename(tmp_path / "elsewhere")
    assert len(DroidReader(tmp_path)) == 3  # found where it lies now
    assert [entry.name for entry in DroidReader(tmp_path).entries].count("elsewhere") == 1


def test_a_file_that_is_changed_in_place_is_looked_into_again(tmp_path):
    folder = write_episode(tmp_path, 0, make_episode())
    assert DroidReader(tmp_path).entries[0].success is True
    times = os.stat(folder).st_mtime_ns
    path = next(folder.glob("metadata_*.json"))
    content = {**json.loads(path.read_text()), "success": False, "current_task": "put the fork in the cup"}
    path.write_text(json.dumps(content))
    (entry,) = DroidReader(tmp_path).entries
    assert (entry.success, entry.task) == (False, "put the fork in the cup")
    write_video(tmp_path / "small.mp4", smooth_frames(6, 16, 24), rate=15)
    (folder / "recordings" / "MP4" / "left.mp4").write_bytes((tmp_path / "small.mp4").read_bytes())
    assert os.stat(folder).st_mtime_ns == times
    (entry,) = DroidReader(tmp_path).entries
    assert (entry.height, entry.width) == (16, 24)


def test_what_is_wrong_is_remembered(tmp_path):
    folder = write_episode(tmp_path, 0, make_episode())
    (folder / "recordings" / "MP4" / "left.mp4").unlink()
    for _ in range(2):
        (entry,) = DroidReader(tmp_path).entries
        assert "no video" in entry.error


def test_what_is_restored_is_noticed(tmp_path):
    folder = write_episode(tmp_path, 0, make_episode())
    for name in ("recordings/MP4/left.mp4", "trajectory.h5"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:100])
        assert DroidReader(tmp_path).entries[0].error
        (folder / name).write_bytes(content)
        assert not DroidReader(tmp_path).entries[0].error


@pytest.mark.parametrize("changes", [{"current_task": "\ud800"}, {"vjepa_sim": {"seed": 10**30}}])
def test_odd_metadata_stops_nobody(tmp_path, changes):
    for index in range(2):
        folder = write_episode(tmp_path, index, make_episode(seed=index))
    path = next(folder.glob("metadata_*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert len(DroidReader(tmp_path)) == 2


@pytest.mark.parametrize("stamps", [[1, 2, np.nan, 4, 5, 6], [1, 2, np.inf, 4, 5, 6], [1, 2, 2, 4, 5, 6]])
def test_a_broken_clock_is_an_error_of_the_entry(tmp_path, stamps):
    folder = write_episode(tmp_path, 0, make_episode())
    with h5py.File(folder / "trajectory.h5", "r+") as file:
        file["vjepa_sim/stamp"][:] = stamps
    (entry,) = DroidReader(tmp_path).entries
    assert "stamps don't increase from row 1 to row 2" in entry.error


def test_a_cache_that_can_not_be_written_is_done_without(tmp_path, monkeypatch, caplog):
    write_episode(tmp_path, 0, make_episode())
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("vjepa_sim.data.formats.index.cache_folder", lambda: tmp_path / "file")
    assert len(DroidReader(tmp_path)) == 1
    assert "can't be kept" in caplog.text


def test_a_link_to_a_folder_above_is_not_followed(tmp_path):
    write_episode(tmp_path, 0, make_episode())
    (tmp_path / "1.0.1" / "again").symlink_to(tmp_path)
    assert len(DroidReader(tmp_path)) == 1


def test_a_damaged_index_is_made_anew(tmp_path, looked_up):
    write_episode(tmp_path, 0, make_episode())
    DroidReader(tmp_path)
    index_file(tmp_path).write_bytes(b"nonsense")
    assert len(DroidReader(tmp_path)) == 1
    assert len(looked_up) == 2


def test_an_interrupted_index_keeps_what_it_has(tmp_path):
    def stop(name):
        if name == "200":
            raise KeyboardInterrupt
        return Entry(name=name)

    names = {str(number): 0 for number in range(300)}
    with pytest.raises(KeyboardInterrupt):
        indexed(tmp_path, names, stop)
    seen = []
    indexed(tmp_path, names, lambda name: seen.append(name) or Entry(name=name))
    assert 100 <= len(seen) < 300


def test_nothing_is_written_into_the_data_set(tmp_path):
    write_episode(tmp_path, 0, make_episode())
    before = sorted(tmp_path.rglob("*"))
    DroidReader(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_of_many_episodes_hardly_any_is_opened_for_a_clip(tmp_path, episodes_folder, monkeypatch):
    """Four thousand names, made up but for the episode that all of them stand for."""
    count, root = 4_000, tmp_path / "many"
    make_many(root, episodes_folder, count)
    opened = []
    monkeypatch.setattr("vjepa_sim.data.formats.droid.reader.describe", lambda *_: pytest.fail("it is known already"))
    original = DroidReader.read
    monkeypatch.setattr(
        DroidReader, "read", lambda self, *arguments, **named: opened.append(1) or original(self, *arguments, **named)
    )
    reader = open_reader(root, "droid")
    assert len(reader) == count
    (clip,) = Mixture([Clips(reader, 0.25)], [1.0]).draw([[0]], 4, 1)
    assert clip.frames.shape == (4, 128, 128, 3)
    assert len(opened) <= 2  # one to see how large pictures are
