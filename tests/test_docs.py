"""The documents' links lead somewhere, and their Python runs."""

import re
import runpy
from pathlib import Path

import pytest

from tests.warm_process import WarmProcess

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^(?P<fence>```+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
NOT_RUN = re.compile(r"<!-- not run: [^>]+ -->\s*$")
# What examples take minutes for, and what is enough to see that they run.
SHORTER = {
    r"total_timesteps=[\d_]+": "total_timesteps=128",
    r"usable_seeds\(env, 10_000, 3\)": "usable_seeds(env, 10_000, 1)",
}


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ +(.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document: Path) -> list[str]:
    """Relative links of a document to files or headings that don't exist."""
    dead = []
    for target in LINK.findall(FENCED.sub("", document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        path = document.parent / name if name else document
        if not path.exists() or (heading and heading not in anchors(path.read_text())):
            dead.append(target)
    return dead


def run_program(path: Path) -> None:
    """Run a Python file as a program."""
    runpy.run_path(str(path), run_name="__main__")


def runnable(text: str) -> str:
    """The Python blocks of a document in order, as one program, without those marked ``<!-- not run: reason -->``."""
    blocks = [
        block["body"]
        for block in FENCED.finditer(text)
        if block["info"].strip() == "python" and not NOT_RUN.search(text[: block.start()])
    ]
    return "\n".join(blocks)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    assert dead_links(document) == []


def test_a_dead_link_is_found(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("# Here\n[a](#here) [b](#there) [c](gone.md) [d](https://example.org) [e](page.md#here)\n")
    assert dead_links(document) == ["#there", "gone.md"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "document", [each for each in DOCUMENTS if runnable(each.read_text())], ids=lambda path: path.name
)
def test_python_blocks_run(document, episodes_folder, tmp_path):
    """In a folder where `episodes` and `DROID` are data sets in DROID's layout."""
    for name in ("episodes", "DROID"):
        (tmp_path / name).symlink_to(episodes_folder)
    program = tmp_path / "program.py"
    text = runnable(document.read_text())
    for long, short in SHORTER.items():
        text = re.sub(long, short, text)
    program.write_text(text)
    done = WarmProcess(run_program, program, folder=tmp_path).wait()
    assert done.returncode == 0, done.stderr


def test_blocks_that_are_not_run_are_marked():
    text = "```python\na = 1\n```\n\n<!-- not run: needs a robot -->\n```python\nb = 2\n```\n```bash\nc\n```\n"
    assert runnable(text) == "a = 1\n"
