"""Runs the command line in a process of its own: what a plugin registers stays out of the other tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
# Several commands by one process, since imports take longer than most of them.
PROGRAM = """
import json, sys
from pathlib import Path
import vjepa_sim.data.index
from vjepa_sim.cli import main
if __name__ == "__main__":
    vjepa_sim.data.index.cache_folder = lambda: Path(sys.argv[1])
    sys.exit(max(main(arguments) for arguments in json.loads(sys.argv[2])))
"""


@pytest.fixture
def vjepa_sim(tmp_path):
    """Runs commands, each a text, with plugins; the working directory is the test's folder."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(*commands: str, plugins: tuple[str, ...], status: int = 0) -> str:
        """Returns what was printed."""
        options = [option for name in plugins for option in ("--plugin", str(EXAMPLES / name))]
        arguments = [[verb, *options, *rest] for verb, *rest in map(str.split, commands)]
        done = subprocess.run(
            [sys.executable, program, tmp_path / "cache", json.dumps(arguments)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def successes(tmp_path):
    """Number of successes of the only agent of an evaluation, at the end of its episodes."""

    def count(folder: str) -> int:
        (cell,) = json.loads((tmp_path / folder / "eval_info.json").read_text())["cells"]
        return cell["n_success"]

    return count
