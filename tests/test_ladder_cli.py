"""The ladder on the command line: goals, deployments, their comparison, and one key for a score."""

import json
import os
import sys
import termios
import threading
import time

import pytest

from envs.errors import UserError
from vjepa_sim.cli import main
from vjepa_sim.cli.keys import ask_key


@pytest.fixture(scope="module")
def goals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("goals") / "goals"
    arguments = ["--task", "grasp", "--object", "cup", "--seed", "3", "--size", "128"]
    assert main(["capture-goal", "--out", str(folder), *arguments]) == 0
    return folder


def test_from_goals_to_a_comparison(goals, tmp_path, capsys):
    """Task and object are the goals' own."""
    for backend in ("sim", "noisy-sim"):
        arguments = ["--goals", str(goals), "--backend", backend, "--agent", "still", "--episodes", "1"]
        assert main(["deploy", *arguments, "--out", str(tmp_path / backend)]) == 0
        assert "| grasp | cup | still | 0.0 % (0/1) | task |" in capsys.readouterr().out
    out = tmp_path / "comparison"
    assert main(["compare", str(tmp_path / "sim"), str(tmp_path / "noisy-sim"), "--out", str(out)]) == 0
    assert "| noisy-sim | noisy-sim | 0/1 |" in capsys.readouterr().out
    assert (out / "compare.md").exists()


def test_imperfections_are_options(goals, tmp_path):
    arguments = ["--goals", str(goals), "--backend", "noisy-sim", "--agent", "still", "--dry-run"]
    options = ["--imperfections.camera-latency", "0.2", "--imperfections.seed", "7"]
    assert main(["deploy", *arguments, *options, "--out", str(tmp_path / "out")]) == 0
    config = json.loads((tmp_path / "out" / "deploy_config.json").read_text())["config"]
    assert (config["imperfections"]["camera_latency"], config["imperfections"]["seed"]) == (0.2, 7)
    assert (tmp_path / "out" / "dry_run.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "reach"], "are of grasp"),
        (["--object", "box"], "are of cup"),
        (["--gripper", "panda_hand"], "are of robotiq"),
        (["--backend", "noisysim"], "Did you mean 'noisy-sim'"),
        (["--backend", "franka"], "--host"),
        (["--slow-first"], "one speed"),
    ],
)
def test_mistakes_are_answered_with_status_2(goals, arguments, message, tmp_path, capsys):
    usual = ["--goals", str(goals), "--backend", "sim", "--agent", "still", "--out", str(tmp_path / "a")]
    assert main(["deploy", *usual, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_one_key_is_an_answer_without_enter(monkeypatch, capsys):
    master, slave = os.openpty()

    def type_when_asked(keys):
        while termios.tcgetattr(slave)[3] & termios.ICANON:  # until single keys are read
            time.sleep(0.01)
        os.write(master, keys)

    with open(slave, closefd=False) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        for typed, answer in ((b"xY", "y"), (b"?q", "q")):
            os.write(master, b"n")  # before the question: no answer to it
            threading.Thread(target=type_when_asked, args=(typed,), daemon=True).start()
            assert ask_key("Good?", "ynq") == answer
            assert termios.tcgetattr(slave)[3] & termios.ICANON
    os.close(master)
    os.close(slave)
    assert capsys.readouterr().out == "Good? y\nGood? q\n"


def test_nobody_at_the_keyboard_is_said(monkeypatch):
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        with pytest.raises(UserError, match="Nobody is there to answer: Good"):
            ask_key("Good?", "yn")
