"""Runs the command line in a process of its own: what a plugin registers stays out of the other tests."""

import json
from pathlib import Path

import pytest

from tests.warm_process import WarmProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def commands(cache: Path, lines: list[list[str]]) -> int:
    """Run commands one after another; returns the largest of their exit statuses."""
    import vjepa_sim.data.formats.index
    from vjepa_sim.cli import main

    vjepa_sim.data.formats.index.cache_folder = lambda: cache
    return max(main(line) for line in lines)


@pytest.fixture
def vjepa_sim(tmp_path):
    """Runs commands, each a text, with plugins; the working directory is the test's folder."""

    def run(*lines: str, plugins: tuple[str, ...], status: int = 0) -> str:
        """Returns what was printed."""
        options = [option for name in plugins for option in ("--plugin", str(EXAMPLES / name))]
        arguments = [[*line.split(), *options] for line in lines]
        done = WarmProcess(commands, tmp_path / "cache", arguments, folder=tmp_path).wait()
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
