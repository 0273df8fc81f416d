"""The ladder on the command line: goals, deployments, their comparison, and one key for a score."""

import json
import os
import select
import sys
import termios
import threading
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from vjepa_sim.cli import main
from vjepa_sim.cli.keys import ask, ask_key
from vjepa_sim.cli.robot import LimitOptions, chosen_limits
from vjepa_sim.data.goal_folder import load_goals
from vjepa_sim.envs.cameras import Grabber
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.safety import default_limits

pytestmark = pytest.mark.slow


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
        assert "| grasp | cup | still | image | 0.0 % (0/1) | task |" in capsys.readouterr().out
    out = tmp_path / "comparison"
    assert main(["compare", str(tmp_path / "sim"), str(tmp_path / "noisy-sim"), "--out", str(out)]) == 0
    assert "| noisy-sim | noisy-sim | 0/1 |" in capsys.readouterr().out
    assert (out / "compare.md").exists()


def test_a_photo_is_the_goal_of_a_deployment(goals, tmp_path, capsys):
    photo = Image.fromarray(load_goals(goals)[-1].rgb).resize((300, 300))
    wide = Image.new("RGB", (400, 300))
    wide.paste(photo, (50, 0))  # the camera's image is the middle of it
    wide.save(tmp_path / "photo.png")
    folder = str(tmp_path / "goals")
    assert main(["capture-goal", "--image", str(tmp_path / "photo.png"), "--steps", "3", "--out", folder]) == 0
    arguments = ["--task", "reach", "--object", "box", "--backend", "sim", "--agent", "random", "--dry-run"]
    assert main(["deploy", "--goals", folder, *arguments, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "goals: 1 of 300 × 300 pixels" in said and "image: it shows something" in said
    assert len(json.loads((tmp_path / "run" / "dry_run.json").read_text())["planned"]) == 1


def test_imperfections_are_options(goals, tmp_path):
    arguments = ["--goals", str(goals), "--backend", "noisy-sim", "--agent", "still", "--dry-run"]
    options = ["--imperfections.camera-latency", "0.2", "--imperfections.seed", "7"]
    assert main(["deploy", *arguments, *options, "--out", str(tmp_path / "out")]) == 0
    config = json.loads((tmp_path / "out" / "deploy_config.json").read_text())["config"]
    assert (config["arm"], config["gripper"]) == ("panda", "robotiq")  # those of the goals
    assert (config["imperfections"]["camera_latency"], config["imperfections"]["seed"]) == (0.2, 7)
    assert (tmp_path / "out" / "dry_run.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "reach"], "are for grasp"),
        (["--object", "box"], "are for cup"),
        (["--gripper", "panda_hand"], "are for robotiq"),
        (["--arm", "pander"], "Did you mean 'panda'"),
        (["--backend", "noisysim"], "Did you mean 'noisy-sim'"),
        (["--backend", "franka"], "--host"),
        (["--slow-first"], "one speed"),
        (["--home", "--dry-run"], "leave one of them out"),
        (["--host", "172.16.0.2"], "--host: no effect"),
        (["--backend", "loopback", "--camera", "0"], "--camera: no effect"),
        (["--imperfections.seed", "3"], "--imperfections: no effect"),
        (["--backend", "franka", "--host", "a", "--camera", "0", "--yes"], "a person must confirm"),
        (["--limits.max-force", "-1"], "max_force"),
    ],
)
def test_mistakes_are_answered_with_status_2(goals, arguments, message, tmp_path, capsys):
    usual = ["--goals", str(goals), "--backend", "sim", "--agent", "still", "--out", str(tmp_path / "a")]
    assert main(["deploy", *usual, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "172.16.0.2"], "--host: no effect without --camera"),
        (["--steps", "5", "--name", "done"], "--steps, --name: no effect"),
        (["--camera", "0", "--task", "grasp", "--seed", "3"], "--task, --seed: no effect with --camera"),
        (["--camera", "0", "--driver", "nonsense"], "--driver: no effect with --camera alone"),
        (["--camera", "0", "--gripper", "panda_hand"], "--gripper: no effect with --camera alone"),
        (["--backend", "nonsense"], "Unknown backend 'nonsense'"),
        (["--backend", "franka", "--camera", "0"], "--host HOST"),
        (["--backend", "sim", "--camera", "0"], "--camera: no effect with --backend sim"),
    ],
)
def test_a_goal_is_from_the_camera_or_from_the_simulator(arguments, message, tmp_path, capsys):
    assert main(["capture-goal", "--out", str(tmp_path / "a"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


class BrighteningSource:
    """A camera that takes its time to find its exposure."""

    def __init__(self):
        self.opened = time.monotonic()

    def read(self):
        time.sleep(0.02)
        rgb = np.full((16, 16, 3), min(255, 100 * (time.monotonic() - self.opened)), np.uint8)
        rgb[:4] = 255  # a window
        return rgb

    def reopen(self):
        pass

    def close(self):
        pass


def test_a_goal_is_taken_when_the_camera_has_found_its_exposure(tmp_path, monkeypatch):
    monkeypatch.setattr("vjepa_sim.envs.cameras.open_camera", lambda text: Grabber(BrighteningSource(), 3.0))
    assert main(["capture-goal", "--out", str(tmp_path / "goals"), "--camera", "0"]) == 0
    (goal,) = load_goals(tmp_path / "goals")
    assert goal.rgb.min() >= 149  # 1.5 s


def test_a_goal_is_taken_on_any_backend_with_the_robots_state(tmp_path):
    assert main(["capture-goal", "--out", str(tmp_path / "goals"), "--backend", "sim", "--steps", "4"]) == 0
    (goal,) = load_goals(tmp_path / "goals")
    assert goal.steps == 4
    assert goal.state.shape == (7,)


def test_limits_are_options_and_hold_for_the_planner_too(goals, tmp_path):
    arguments = ["--goals", str(goals), "--backend", "sim", "--agent", "random", "--dry-run"]
    limits = ["--limits.max-translation", "0.01", "--limits.workspace-high", "0.8", "0.3", "0.5"]
    assert main(["deploy", *arguments, *limits, "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "deploy_config.json").read_text())["config"]["limits"]
    usual = default_limits("panda", "robotiq")
    assert told == {**asdict(usual), "max_translation": 0.01, "workspace_high": [0.8, 0.3, 0.5]} | {
        "workspace_low": list(usual.workspace_low)
    }
    (log,) = json.loads((tmp_path / "out" / "dry_run.json").read_text())["planned"]
    assert max(map(abs, log["action"][:3])) <= 0.01


def test_limits_that_are_not_given_are_the_grippers():
    options = LimitOptions(max_force=10.0)
    for gripper in ("robotiq", "panda_hand"):
        usual = default_limits("panda", gripper)
        assert chosen_limits(options, "franka", "panda", gripper) == replace(usual, max_force=10.0)
    usual = default_limits("panda", "robotiq")
    assert chosen_limits(options, "loopback", "panda", "robotiq").max_camera_age > usual.max_camera_age
    given = LimitOptions(workspace_low=usual.workspace_low)
    assert chosen_limits(given, "franka", "panda", "panda_hand").workspace_low == given.workspace_low


def test_what_was_typed_before_a_question_is_no_yes(monkeypatch):
    master, slave = os.openpty()
    try:
        with open(slave, closefd=False) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            for typed, answer in ((b"y\n", True), (b"n\n", False)):
                os.write(master, b"y\n" if not answer else b"n\n")
                select.select([slave], [], [], 5)

                def asked(prompt, typed=typed):
                    os.write(master, typed)
                    return terminal.readline()

                monkeypatch.setattr("builtins.input", asked)
                assert ask("Move?") is answer
    finally:
        os.close(master)
        os.close(slave)


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
        with pytest.raises(UserError, match="no terminal to answer: Good"):
            ask_key("Good?", "yn")
