"""Texts, numbers and names of a data set that mean harm: nothing is written elsewhere, printed raw, or unbounded."""

import contextlib
import io
import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.formats.lerobot.sets import EPISODES, change_column
from tests.data.samples import make_episode
from vjepa_sim.cli import main
from vjepa_sim.data.formats import open_writer
from vjepa_sim.data.formats.lerobot.layout import INFO
from vjepa_sim.envs.errors import CONTROL

pytestmark = pytest.mark.slow

GIGABYTE = 2**30
TARGETS = {"droid": "lerobot", "lerobot": "robomimic", "robomimic": "droid"}

TEXTS = st.one_of(
    st.sampled_from(
        [
            "../../escaped",
            "/escaped",
            "a/../../escaped",
            "..\\escaped",
            "~/escaped",
            "",
            ".",
            "\x1b[2J\x1b]0;title\x07",
            "a\0b",
            "\u202eemag",
            "line\nline\r",
            "x" * 5000,
            "{chunk_index.__class__}/{video_key!r:>999999999}",
            "\ud800",
        ]
    ),
    st.text(max_size=12),
)
VALUES = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.floats(),
    st.sampled_from([-1, 0, 2**31, 2**63, 10**400, 1e308, [], {}, [[]] * 3, {"a": {"b": [None]}}]),
    st.builds(lambda depth: json.loads("[" * depth + "]" * depth), st.integers(1, 900)),
)


def places(document, path=()):
    """Paths of all values of a JSON document."""
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else ())
    )
    for name, value in parts:
        yield (*path, name)
        if isinstance(value, dict | list):
            yield from places(value, (*path, name))


def harmed(document, choice, value, as_name):
    """The document with one value replaced, or one name."""
    paths = sorted(places(document), key=repr)
    *way, last = paths[choice % len(paths)]
    inner = document
    for part in way:
        inner = inner[part]
    if as_name and isinstance(inner, dict):
        inner[value if isinstance(value, str) else str(value)[:5000]] = inner.pop(last)
    else:
        inner[last] = value
    return document


def rewrite(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def harm_droid(root, change, in_note):
    rewrite(next(root.rglob("metadata_*.json")), change)


def harm_lerobot(root, change, in_note):
    if in_note:
        old = json.loads(pq.read_table(root / EPISODES).column("vjepa_sim/note").to_pylist()[0])
        text = json.dumps(change(old))
        change_column(root, EPISODES, "vjepa_sim/note", lambda notes: [text, *notes[1:]])
    else:
        rewrite(root / INFO, change)


def harm_robomimic(root, change, in_note):
    with h5py.File(root / "set.hdf5", "r+") as file:
        ours = file["data/demo_0/vjepa_sim"]
        text = json.dumps(change(json.loads(ours["about"][0])))
        del ours["about"]
        ours["about"] = np.array([text.encode()])


HARM = {"droid": harm_droid, "lerobot": harm_lerobot, "robomimic": harm_robomimic}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    episodes = [replace(make_episode(rows=4, seed=seed), extras={"lab/counts": np.arange(4)}) for seed in range(2)]
    for name in HARM:
        (folder / name).mkdir()
        with open_writer(folder / name / ("set.hdf5" if name == "robomimic" else "set"), name) as writer:
            for episode in episodes:
                writer.write(episode)
    return folder


def files(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def run(*arguments):
    """What a command says, and its status."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main([str(argument) for argument in arguments])
    return status, said.getvalue()


@contextlib.contextmanager
def at_most(size):
    """Memory for so many more bytes; whoever asks for more meets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("format", HARM)
@given(choice=st.integers(0, 200), value=VALUES, as_name=st.booleans(), in_note=st.booleans())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_what_a_data_set_says_does_no_harm(format, sets, tmp_path_factory, choice, value, as_name, in_note):
    place = tmp_path_factory.mktemp("hostile") / "deep" / "inside"
    place.mkdir(parents=True)
    root = place / "data"
    shutil.copytree(sets / format, root)
    source = root / "set.hdf5" if format == "robomimic" else root / "set"
    HARM[format](root if format == "robomimic" else source, lambda old: harmed(old, choice, value, as_name), in_note)
    there = files(place.parents[1])
    out = place / "out" / ("out.hdf5" if TARGETS[format] == "robomimic" else "out")
    out.parent.mkdir()
    for command in (
        ("convert", "data", f"{source}", "--to", TARGETS[format], "--out", out),
        ("inspect", f"{format}:{source}", "--image", out.parent / "sheet.png"),
        ("lint", f"{source}"),
    ):
        with at_most(GIGABYTE):
            status, said = run(*command)
        assert status in (0, 1, 2), said
        assert not CONTROL.search(said.replace("\r", "")), said
    elsewhere = {
        name: time for name, time in files(place.parents[1]).items() if not name.startswith("deep/inside/out/")
    }
    assert elsewhere == there
    shutil.rmtree(place.parents[1])
