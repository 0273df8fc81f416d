"""docs/extending.md shows the examples as they are, and every registry that there is."""

import re

import pytest

from tests.examples.conftest import EXAMPLES, ROOT

PAGE = ROOT / "docs" / "extending.md"
PACKAGES = ("envs", "data", "agents", "vjepa_sim")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_shown_in_full(example):
    assert f"```python\n{example.read_text()}```" in PAGE.read_text(), f"copy examples/{example.name} into {PAGE}"


def test_every_registry_is_explained():
    pattern = re.compile(r"^([A-Z_]+): Registry\b", re.MULTILINE)
    names = {
        name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in pattern.findall(path.read_text())
    }
    assert len(names) > 10
    assert {name for name in names if f"`{name}`" not in PAGE.read_text()} == set()
