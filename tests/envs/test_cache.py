"""Files in the user's cache."""

import errno
import os
import stat
from pathlib import Path

import pytest

from vjepa_sim.envs import cache


def test_what_is_saved_is_loaded_and_damage_is_noticed(tmp_path):
    path = tmp_path / "new" / "entry"
    assert cache.load(path) is None
    cache.save(path, b"content")
    assert cache.load(path) == b"content"
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:10], whole[:-1] + b"?", whole + b"more"):
        path.write_bytes(damaged)
        assert cache.load(path) is None
    path.unlink()
    path.mkdir()
    assert cache.load(path) is None


@pytest.mark.parametrize("write", ["fsync", "replace"])
def test_a_full_disk_leaves_the_older_file_and_nothing_else(tmp_path, monkeypatch, write):
    path = tmp_path / "entry"
    cache.save(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.os, write, full)
    with pytest.raises(OSError, match="No space left"):
        cache.save(path, b"new")
    assert cache.load(path) == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        cache.save(tmp_path / "entry", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "entry").stat().st_mode) == mode


def test_the_folder_is_that_of_the_xdg_specification(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "vjepa-sim"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "vjepa-sim"


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache.load(cache.cache_folder() / "entry") is None
    with pytest.raises(OSError):
        cache.save(cache.cache_folder() / "entry", b"content")
