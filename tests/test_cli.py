"""The command line from an empty folder to a success table, and its answers to mistakes."""

import json

import pytest

from vjepa_sim.cli import VERBS, main


def test_from_an_empty_folder_to_a_success_table(tmp_path, capsys):
    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        assert status == 0, capsys.readouterr().err
        return capsys.readouterr().out

    episodes, encoder, model, table = (tmp_path / name for name in ("episodes", "encoder", "model", "eval"))
    out = run(
        "collect",
        "--out",
        episodes,
        "--episodes",
        4,
        "--seed",
        3,
        "--task",
        "reach",
        "--object",
        "box",
        "--steps",
        8,
        "--workers",
        1,
    )
    assert "4 episodes" in out
    out = run("pretrain", "--data", f"sim:{episodes}", "--out", encoder, "--preset", "tiny", "--steps", 2)
    assert "vjepa-sim train" in out
    run("train", "--data", f"sim:{episodes}", "--encoder", encoder, "--out", model, "--steps", 2)
    out = run(
        "eval",
        "--checkpoint",
        model,
        "--task",
        "reach",
        "--object",
        "box",
        "--episodes",
        1,
        "--seed",
        0,
        "--out",
        table,
        "--size",
        128,
    )
    assert "| reach | box | mpc |" in out
    info = json.loads((table / "eval_info.json").read_text())
    assert [cell["agent"] for cell in info["cells"]] == ["mpc", "expert", "random", "still"]
    assert info["cells"][0]["model_evaluations_per_action"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evall"], "Did you mean 'eval'"),
        (["eval", "--out", "{tmp}/a", "--agent", "mcp"], "Did you mean 'mpc'"),
        (["eval", "--out", "{tmp}/a", "--task", "grasp,plce"], "Unknown task 'plce'"),
        (["eval", "--out", "{tmp}/a", "--checkpoint", "{tmp}/nowhere"], "no checkpoint folder"),
        (["collect", "--out", "{tmp}/a", "--episodes", "2", "--mix", "expert=lots"], "expected NAME=SHARE"),
        (["collect", "--out", "{tmp}/a", "--episodes", "2", "--mix", "exprt=1"], "Did you mean 'expert'"),
        (["collect", "--out", "{tmp}/a", "--episodes", "0"], "at least 1"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}/nowhere"], "vjepa-sim collect"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--preset", "tinny"], "Did you mean 'tiny'"),
        (["train", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--encoder", "{tmp}/nowhere"], "no checkpoint folder"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--steps", "0"], "at least 1"),
        (["pretrain", "--out", "{tmp}/a", "--data", "smi:{tmp}"], "Did you mean 'sim'"),
        (["bench", "simm"], "Did you mean 'sim'"),
    ],
)
def test_mistakes_are_answered_with_status_2(arguments, message, tmp_path, capsys):
    assert main([argument.replace("{tmp}", str(tmp_path)) for argument in arguments]) == 2
    text = capsys.readouterr().err
    assert message in text
    assert "Traceback" not in text
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("verb", ["collect", "eval"])
def test_a_file_in_the_way_is_named(verb, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main([verb, "--out", str(tmp_path / "file"), "--episodes", "1"]) == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "usage: vjepa-sim" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["model", "--preset", "none"], ["data"], ["plan"]])
def test_benches_write_their_numbers(arguments, tmp_path):
    path = tmp_path / "bench.json"
    assert main(["bench", *arguments, "--json", str(path)]) == 0
    numbers = json.loads(path.read_text())
    assert numbers["bench"] == arguments[0]
    assert numbers["provenance"]["versions"]["torch"]
    numbers |= numbers.get("tiny", {})
    assert all(value > 0 for name, value in numbers.items() if name.endswith(("seconds", "speedup_median")))
