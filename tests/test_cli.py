"""The command line from an empty folder to a success table, and its answers to mistakes."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from vjepa_sim.agents.bench.plan import SEARCHES
from vjepa_sim.agents.planning.cem import CEMConfig
from vjepa_sim.card import ModelCard
from vjepa_sim.cli import VERBS, main
from vjepa_sim.training.presets import PRESETS
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_measurements")]


def test_from_an_empty_folder_to_a_success_table(tmp_path, capsys):
    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        assert status == 0, capsys.readouterr().err
        return capsys.readouterr().out

    episodes, encoder, model, table = (tmp_path / name for name in ("episodes", "encoder", "model", "eval"))
    thing, quick = ("--task", "reach", "--object", "box"), ("--steps", 2, "--batch", 4)
    out = run("collect", "--out", episodes, "--episodes", 4, "--seed", 3, *thing, "--steps", 8, "--workers", 1)
    assert "4 episodes" in out
    out = run("pretrain", "--data", f"sim:{episodes}", "--out", encoder, "--preset", "tiny", *quick)
    assert "vjepa-sim train" in out
    assert "goal policy" not in out  # that is stage two's
    run("train", "--data", f"sim:{episodes}", "--encoder", encoder, "--out", model, *quick)
    out = run("eval", "--checkpoint", model, *thing, "--episodes", 1, "--seed", 0, "--out", table, "--size", 128)
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
        (["train", "--out", "{tmp}/a", "--data", "sim:{episodes}", "--encoder", "lewm"], "can't predict latents of"),
        (["baseline", "lewm", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--learning-rate", "nan"], "a number above 0"),
        (["bench", "simm"], "Did you mean 'sim'"),
        (["bench", "robot", "--minutes", "0"], "above 0"),
        (["bench", "sim", "--evaluations", "{tmp}/a"], "--evaluations: no effect on bench sim"),
        (
            ["capture-goal", "--out", "{tmp}/a", "--camera", "0", "--host", "127.0.0.1"]
            + ["--gripper", "panda_hand", "--driver", "frankars"],
            "Did you mean 'franka-rs'",
        ),
    ],
)
def test_mistakes_are_answered_with_status_2(arguments, message, episodes_folder, tmp_path, capsys):
    try:
        status = main([argument.format(tmp=tmp_path, episodes=episodes_folder) for argument in arguments])
    except SystemExit as stop:  # the parser's own, for a value that can't be read
        status = stop.code
    assert status == 2
    text = capsys.readouterr().err
    assert message in text
    assert "Traceback" not in text
    assert not (tmp_path / "a").exists()


def test_deploy_opens_the_robot_with_the_driver_it_is_given(tmp_path, capsys):
    goals, out = str(tmp_path / "goals"), tmp_path / "a"
    assert main(["capture-goal", "--out", goals, "--size", "64", "--gripper", "panda_hand"]) == 0
    robot = ["--host", "127.0.0.1", "--camera", "0", "--gripper", "panda_hand", "--driver", "frankars"]
    assert main(["deploy", "--out", str(out), "--goals", goals, "--agent", "still", *robot]) == 2
    assert "Did you mean 'franka-rs'" in capsys.readouterr().err
    assert not out.exists()


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


@pytest.fixture
def small_model(tmp_path):
    """A world model with V-JEPA 2-AC's predictor, untrained."""
    sizes = PRESETS["tiny"]
    card = ModelCard(
        name="small",
        encoder=replace(sizes.encoder, image_size=64, dim=24, depth=1, heads=2, mlp_hidden=32),
        transform=ImageTransform(64),
        predictor=replace(sizes.ac_predictor, dim=48, depth=1, heads=2, mlp_hidden=32),
        period=0.25,
    )
    WorldModel(card).save_pretrained(tmp_path / "small")
    return tmp_path / "small"


@pytest.mark.parametrize(
    "arguments",
    [
        ["model", "--preset", "none", "--checkpoint", "{model}"],
        ["model", "--preset", "none", "--checkpoint", "lewm"],
        ["data", "--data", "sim:{episodes}"],
        ["plan"],
    ],
)
def test_benches_write_their_numbers(arguments, episodes_folder, small_model, tmp_path, monkeypatch):
    small = replace(SEARCHES["reference"], cem=CEMConfig(samples=80, elites=10, iterations=2))
    monkeypatch.setitem(SEARCHES, "reference", small)  # the paper's takes ten seconds a decision
    monkeypatch.setattr("vjepa_sim.agents.bench.plan.STARTS", 1)
    monkeypatch.setattr("vjepa_sim.agents.bench.plan.TASKS", ["reach"])
    path = tmp_path / "bench.json"
    arguments = [argument.format(episodes=episodes_folder, model=small_model) for argument in arguments]
    assert main(["bench", *arguments, "--json", str(path)]) == 0
    numbers = json.loads(path.read_text())
    assert numbers["bench"] == arguments[0]
    assert numbers["provenance"]["versions"]["torch"]
    numbers |= numbers.get(str(small_model), numbers.get("lewm", numbers.get("given", {})))
    assert all(
        value > 0 for name, value in numbers.items() if name.endswith(("seconds", "speedup_median", "over_naive"))
    )


def test_released_weights_are_converted_and_planned_with(tmp_path, capsys):
    """A small file in the layout of Meta's V-JEPA 2-AC: converted, and planned with in steps of a second."""
    from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
    from vjepa_sim.models.encoder import Encoder, EncoderConfig

    sizes = EncoderConfig(image_size=256, dim=64, depth=1, heads=1, mlp_hidden=64)
    parts = {
        "encoder": Encoder(sizes),
        "predictor": ACPredictor(ACPredictorConfig(dim=64, depth=1, heads=1, mlp_hidden=64), sizes),
    }
    content = {
        part: {f"module.{name}": value for name, value in module.state_dict().items()} for part, module in parts.items()
    }
    torch.save(content, tmp_path / "vjepa2-ac.pt")
    convert = ["convert", "weights", str(tmp_path / "vjepa2-ac.pt"), "--out", str(tmp_path / "model")]
    assert main(convert) == 2
    assert "State it: `convert weights --heads N`" in capsys.readouterr().err
    assert main([*convert, "--heads", "1", "--predictor-heads", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Converted 'encoder' of vjepa2-ac.pt" in shown
    assert "Assumed: the predictor wasn't trained with camera poses" in shown
    arguments = ["--task", "reach", "--object", "box", "--episodes", "1", "--videos", "0", "--threads", "1"]
    assert main(["eval", "--checkpoint", str(tmp_path / "model"), *arguments, "--out", str(tmp_path / "eval")]) == 0
    cells = json.loads((tmp_path / "eval" / "eval_info.json").read_text())["cells"]
    assert {cell["agent"] for cell in cells} == {"mpc", "expert", "random", "still"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "weigths", "{tmp}/a.pt", "--out", "{tmp}/a"], "Did you mean 'weights'"),
        (["convert", "weights", "{tmp}/a.pt", "--out", "{tmp}/a"], "There is no"),
        (["convert", "weights", "{tmp}", "--out", "{tmp}/a"], "is not a checkpoint"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--recipe", "constnt"], "Did you mean 'constant'"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--device", "tpu"], "auto, cpu, cuda"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--precision", "int8"], "Unknown precision"),
        (["pretrain", "--out", "{tmp}/a", "--data", "sim:{tmp}", "--shard"], "torchrun"),
    ],
)
def test_mistakes_with_models_are_answered_with_status_2(arguments, message, tmp_path, capsys):
    assert main([argument.replace("{tmp}", str(tmp_path)) for argument in arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_data_may_be_given_several_times(tmp_path, capsys):
    """All of it is used: a second source that isn't there is noticed, whichever comes first."""
    for order in ([f"video:{tmp_path}", "images:nowhere"], ["images:nowhere", f"video:{tmp_path}"]):
        data = [argument for source in order for argument in ("--data", source)]
        assert main(["pretrain", "--out", str(tmp_path / "a"), *data]) == 2
        assert ("No video" if order[0].startswith("video") else "nowhere") in capsys.readouterr().err


def test_a_data_set_is_inspected_linted_and_converted(episodes_folder, tmp_path, capsys):
    image, numbers = tmp_path / "sheet.png", tmp_path / "numbers.json"
    assert main(["inspect", str(episodes_folder), "--image", str(image), "--json", str(numbers)]) == 0
    assert "episodes:         6" in capsys.readouterr().out
    assert image.stat().st_size > 1000
    assert json.loads(numbers.read_text())["episodes"] == 6
    assert main(["lint", str(episodes_folder), "--json", str(tmp_path / "findings.json")]) == 0
    assert main(["convert", "data", str(episodes_folder), "--to", "lerobot", "--out", str(tmp_path / "lerobot")]) == 0
    assert "6 episodes are in" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "lerobot"), "--image", str(image)]) == 0
    assert "(lerobot)" in capsys.readouterr().out


def test_lint_moves_nothing_silently(episodes_folder, tmp_path, capsys):
    data = shutil.copytree(episodes_folder, tmp_path / "data")
    video = sorted(data.rglob("*.mp4"))[2]
    video.write_bytes(b"damaged")
    bad, others = video.parents[2], len(list(data.rglob("trajectory.h5"))) - 1
    away = tmp_path / "away"
    assert main(["lint", str(data), "--quarantine", str(away)]) == 2  # nobody is there to say yes
    captured = capsys.readouterr()
    assert str(bad) in captured.out
    assert "Nothing was moved" in captured.err
    assert bad.exists()
    assert main(["lint", str(data), "--quarantine", str(away), "--yes"]) == 1
    assert not bad.exists()
    assert len(list(data.rglob("trajectory.h5"))) == others
    assert len(list(away.rglob("trajectory.h5"))) == 1
    assert main(["lint", str(data)]) == 0
