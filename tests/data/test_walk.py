"""Which files are data: :mod:`vjepa_sim.data.walk`."""

import os

import pytest

from vjepa_sim.data.walk import find_files, is_data, walk
from vjepa_sim.envs.errors import UserError


def fill(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


@pytest.mark.parametrize(
    "name", ["._a.mp4", ".git", "a.mp4.part", "a.mp4.crdownload", "A.MP4.TMP", "a.incomplete", "@eaDir", "a.mp4~"]
)
def test_hidden_and_unfinished_files_and_systems_folders_are_no_data(name):
    assert not is_data(name)


def test_files_are_found_at_any_depth_by_the_ends_of_their_names(tmp_path):
    fill(tmp_path, "b.mp4", "a/deep/c.MP4", "a/._c.mp4", "a/d.mp4.part", ".cache/e.mp4", "@eaDir/f.mp4", "note.txt")
    assert find_files(tmp_path, (".mp4",)) == [tmp_path / "a/deep/c.MP4", tmp_path / "b.mp4"]


def test_links_are_followed_without_loops_and_the_same_file_is_taken_once_by_its_own_path(tmp_path):
    outside = tmp_path / "outside"
    fill(outside, "far.mp4")
    root = tmp_path / "set"
    fill(root, "b/one.mp4", "c.mp4")
    (root / "a").symlink_to(root / "b")
    (root / "b" / "back").symlink_to(root)
    (root / "elsewhere").symlink_to(outside)
    (root / "a.mp4").symlink_to(root / "c.mp4")
    os.link(root / "c.mp4", root / "d.mp4")
    (root / "broken.mp4").symlink_to(root / "nothing")
    (root / "itself.mp4").symlink_to(root / "itself.mp4")
    os.mkfifo(root / "pipe.mp4")
    assert find_files(root, (".mp4",)) == [root / "b/one.mp4", root / "c.mp4", root / "elsewhere/far.mp4"]


def test_nothing_below_a_leaf_is_searched(tmp_path):
    fill(tmp_path, "a/b/x", "c/x")
    assert [folder.inside for folder in walk(tmp_path, lambda folder: folder.name == "a")] == ["", "a", "c"]


def test_a_name_that_is_not_utf8_is_found(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    open(path, "wb").close()
    assert [os.fsencode(each) for each in find_files(tmp_path, (".mp4",))] == [path]


def test_a_folder_that_is_not_there_is_an_error_by_name(tmp_path):
    fill(tmp_path, "file")
    with pytest.raises(UserError, match="file: the folder can't be listed"):
        list(walk(tmp_path / "file"))
