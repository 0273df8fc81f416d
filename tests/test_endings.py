"""How commands end that are ended: by signals, by a full disk, while modules load. Work that is done is kept."""

import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from vjepa_sim.cli import main
from vjepa_sim.data.formats.droid import find_episodes, read_episode

pytestmark = pytest.mark.slow

SLOW_AGENT = """
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from vjepa_sim.agents.registry import AGENTS, AgentSpec


class SlowAgent:
    model_evaluations = current_goal = steps = 0

    def begin(self, goals):
        self.steps = 0

    def act(self, observation):
        self.steps += 1
        if self.steps == 3:
            Path("thinking").touch()
            time.sleep(300)
        return np.zeros(7, np.float32)


AGENTS.register(AgentSpec("slow", "thinks for minutes at its third step", lambda setup: SlowAgent()))
"""


def start(arguments, folder, ending):
    """Start a command; a signal that is ignored, as under nohup, would be so in a child too."""
    ours = signal.signal(ending, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "vjepa_sim.cli", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(ending, ours)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_a_deployment_keeps_the_recording(tmp_path, ending):
    goals = ["capture-goal", "--out", str(tmp_path / "goals"), "--task", "reach", "--size", "64"]
    assert main(goals) == 0
    (tmp_path / "slow.py").write_text(SLOW_AGENT)
    deploy = [
        "deploy",
        "--plugin",
        "slow.py",
        "--agent",
        "slow",
        "--backend",
        "sim",
        "--goals",
        "goals",
        "--out",
        "run",
    ]
    process = start(deploy, tmp_path, ending)
    deadline = time.monotonic() + 120
    while process.poll() is None and not (tmp_path / "thinking").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(ending)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.rstrip().endswith("vjepa-sim: stopped.")
    assert "Traceback" not in said
    (name,) = find_episodes(tmp_path / "run" / "episodes")
    recorded = read_episode(tmp_path / "run" / "episodes" / name)
    assert len(recorded) == 3  # the start and what two steps led to
    assert len(recorded.view().frames) == 3


LOADING = """
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
sys.argv = ["/somewhere/bin/vjepa-sim", "doctor"]
from vjepa_sim.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["gymnasium", "a_plugin", "tyro", "vjepa_sim.cli.inspect"])
def test_ctrl_c_while_modules_load(module, monkeypatch):
    monkeypatch.setenv("VJEPA_SIM_PLUGINS", "a_plugin")
    code = LOADING.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "vjepa-sim: stopped.\n")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 700 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_keeps_whole_episodes(small_disk, capsys):
    out = small_disk / "episodes"
    arguments = ["--task", "reach", "--object", "box", "--size", "128", "--steps", "4", "--workers", "1"]
    assert main(["collect", "--out", str(out), "--episodes", "400", *arguments]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("vjepa-sim: The disk is full")
    episodes = [read_episode(out / name) for name in find_episodes(out)]
    assert 0 < len(episodes) < 400
    assert all(len(episode.view().frames) == len(episode) == 5 for episode in episodes)
    assert not list(Path(out).glob(".partial-*"))


def test_a_disk_that_is_full_at_once_leaves_nothing_half_written(small_disk, capsys):
    with open(small_disk / "filling", "wb", buffering=0) as filling, suppress(OSError):
        while True:
            filling.write(bytes(4096))
    out = str(small_disk / "run")
    assert (
        main(["eval", "--agent", "still", "--task", "reach", "--object", "box", "--episodes", "1", "--out", out]) == 2
    )
    assert capsys.readouterr().err.splitlines()[-1].startswith("vjepa-sim: The disk is full")
