"""The commands that the Makefiles run and the documents show are ones that the command line knows."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from vjepa_sim.agents.planning.presets import PLANNERS
from vjepa_sim.baselines.registry import BASELINES
from vjepa_sim.cli import parse
from vjepa_sim.cli.baseline import next_command

ROOT = Path(__file__).parents[1]
GOALS = ("demo", "checkpoint", "results", "arena-data", "arena-models", "arena")
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def check(line: str) -> None:
    """Refuse a line of the shell's whose command of ours wouldn't be taken; nothing is run."""
    command = re.sub(r"\$\(.*?\)", "X", line.split("vjepa-sim ", 1)[1])
    verb = parse(shlex.split(re.split(r"[;&|]", command)[0], comments=True))
    if getattr(verb, "planner", None) is not None:
        PLANNERS.check(verb.planner)


@pytest.mark.slow
@pytest.mark.parametrize("goal", GOALS)
def test_what_make_runs_is_understood(goal):
    told = subprocess.run(["make", "-n", "-B", goal], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = [line for line in told.replace("\\\n", " ").splitlines() if "/vjepa-sim " in line]
    assert commands
    for command in commands:
        check(command)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_documents_show_is_understood(document):
    text = document.read_text().replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"```.*?\n(.*?)```", text, re.DOTALL))
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    inline = [" ".join(each.split()) for each in re.findall(r"`(vjepa-sim [a-z][^`…]* --[^`…]*)`", prose)]
    for command in [*re.findall(r"^\s*vjepa-sim [^…]*?$", blocks, re.MULTILINE), *inline]:
        if "--plugin" not in command:  # would change this process; tests/examples runs those
            check(command)


@pytest.mark.parametrize("method", BASELINES)
def test_what_is_told_to_do_with_a_baseline_is_understood(method):
    check(next_command(method, Path("run")))
