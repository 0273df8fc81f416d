"""Provenance names the commit that made a result, and no other."""

import subprocess
import sys
from pathlib import Path

from vjepa_sim.data import provenance


def commit_in(folder):
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "thesis"]):
        subprocess.run([*git, *arguments], check=True)


def test_a_checkout_has_its_commit_and_a_package_in_anothers_repository_has_none(tmp_path, monkeypatch):
    commit_in(tmp_path)
    installed = tmp_path / "venv" / "lib" / "site-packages" / "vjepa_sim" / "data" / Path(provenance.__file__).name
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert provenance.git_commit() is None
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "data" / installed.name))
    assert len(provenance.git_commit().removesuffix("-dirty")) == 40


def test_no_password_is_written_down(monkeypatch):
    camera = "--camera=rtsp://admin:s3cret@10.0.0.2/stream?token=s3cret&size=4"
    monkeypatch.setattr(sys, "argv", ["vjepa-sim", "deploy", "--camera", "http://me:s3@cret@cam/", camera])
    command = provenance.provenance()["command"]
    assert command[-2:] == ["http://cam/", "--camera=rtsp://10.0.0.2/stream?token=…&size=4"]
