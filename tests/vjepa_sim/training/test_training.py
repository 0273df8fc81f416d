"""Both stages on real episodes: they learn, they stop, they resume exactly."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.vjepa_sim.training.stages import RATE, SLOW, STAGE_ONE, STAGE_TWO, quiet, stop_after_steps, weights
from vjepa_sim.data.mixture import load_mixture
from vjepa_sim.data.video import write_video
from vjepa_sim.envs.errors import UserError
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.fit import fit
from vjepa_sim.training.presets import PRESETS, Phase, get_recipe
from vjepa_sim.training.pretrain import pretrain
from vjepa_sim.training.run import Run
from vjepa_sim.training.schedule import Schedule
from vjepa_sim.training.train import train
from vjepa_sim.world_model import WorldModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_measurements")]


def test_a_stopped_and_resumed_stage_one_equals_one_that_was_not(mixture, encoder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after_steps(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            pretrain(mixture, tmp_path / "run", "tiny", STAGE_ONE, seed=0, report=quiet)
    last = tmp_path / "run/checkpoints/last"
    assert json.loads((last / "training.json").read_text())["step"] == 2
    before = json.loads((last / "card.json").read_text())["training"]["pretrain"]["compute_seconds"]["core"]
    pretrain(mixture, tmp_path / "run", "tiny", STAGE_ONE, seed=0, report=quiet)
    spent = json.loads((last / "card.json").read_text())["training"]["pretrain"]["compute_seconds"]
    assert spent["core"] > before > 0  # of both sittings
    assert torch.equal(
        weights(WorldModel.from_pretrained(tmp_path / "run")), weights(WorldModel.from_pretrained(encoder))
    )


def test_a_killed_run_logs_no_step_twice(mixture, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("vjepa_sim.training.fit.LOG_EVERY", 1)
    with monkeypatch.context() as patch:
        stop_after_steps(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    metrics = tmp_path / "run" / "metrics.jsonl"
    with open(metrics, "a") as file:  # what it did after its last checkpoint, and was killed while it wrote
        file.write('{"step": 2, "time": 1.0, "train/loss": 7.0}\n{"step": 3, "ti')
    train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    steps = [line["step"] for line in map(json.loads, metrics.read_text().splitlines()) if "train/loss" in line]
    assert steps == list(range(STAGE_TWO.steps))
    before = metrics.read_text()
    train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    assert metrics.read_text() == before  # a finished one has nothing to add


def test_stage_two_trains_resumes_and_leaves_the_encoder_alone(mixture, clips, encoder, tmp_path, monkeypatch):
    whole = train(mixture, str(encoder), tmp_path / "whole", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    with monkeypatch.context() as patch:
        stop_after_steps(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train(mixture, str(encoder), tmp_path / "parts", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    train(mixture, str(encoder), tmp_path / "parts", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    parts = WorldModel.from_pretrained(tmp_path / "parts")
    assert torch.equal(weights(parts), weights(whole))
    assert torch.equal(weights(parts.encoder), weights(WorldModel.from_pretrained(encoder).encoder))
    card = parts.card
    assert card.period == pytest.approx(0.25)
    assert card.training_seeds() == set(clips.record["seeds"])
    assert {"pretrain", "train"} <= set(card.training)
    assert "teacher_forcing" in card.measured


def test_a_run_leaves_what_people_look_at(encoder):
    lines = [json.loads(line) for line in (encoder / "metrics.jsonl").read_text().splitlines()]
    assert any("probe/object_x_cm" in line for line in lines)
    assert any("pretrain/denoising" in line for line in lines)
    assert list((encoder / "tensorboard").iterdir())
    run = json.loads((encoder / "run.json").read_text())
    assert run["config"]["seed"] == 0
    assert run["provenance"]["versions"]["torch"]


def test_stage_two_gets_better(mixture, tmp_path, monkeypatch):
    """On the bundled encoder's features the predictor soon beats predicting that nothing changes."""
    monkeypatch.setattr("vjepa_sim.training.fit.LOG_EVERY", 8)
    config = replace(STAGE_TWO, steps=25, batch=8, learning_rate=Schedule(4e-4, 2e-3, 2e-5, warmup=5, shape="cosine"))
    model = train(mixture, "tiny", tmp_path / "run", preset_name="tiny", config=config, seed=0, report=quiet)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/teacher_forcing"] / line["train/copy"] for line in lines if "train/copy" in line]
    assert losses[-1] < 0.97 * losses[0]
    assert losses[0] > 0.99
    assert model.predictor is not None


def test_other_settings_in_the_same_folder_are_refused(mixture, encoder):
    with pytest.raises(UserError, match="seed was 0, now 1"):
        pretrain(mixture, encoder, "tiny", STAGE_ONE, seed=1, report=quiet)


def test_a_loss_that_is_not_a_number_never_reaches_the_checkpoint(mixture, encoder, tmp_path, monkeypatch):
    from vjepa_sim.training import train as stage_two

    forward, count = stage_two.StageTwo.forward, 0

    def diverging(self, *arguments):
        nonlocal count
        count += 1
        result = forward(self, *arguments)
        return {**result, "loss": result["loss"] * float("nan")} if count == 3 else result

    monkeypatch.setattr(stage_two.StageTwo, "forward", diverging)
    monkeypatch.setattr("vjepa_sim.training.run.CHECKPOINT_SECONDS", 0)
    with pytest.raises(UserError, match="loss of step 2 is nan"):
        train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    kept = WorldModel.from_pretrained(tmp_path / "run")
    assert torch.isfinite(weights(kept)).all()
    assert json.loads((tmp_path / "run/checkpoints/last/training.json").read_text())["step"] == 2


def test_a_lost_link_or_a_damaged_checkpoint_is_noticed(mixture, encoder, tmp_path):
    train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    (tmp_path / "run/checkpoints/last").unlink()
    again = train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    assert again.card.measured["teacher_forcing"] > 0
    (tmp_path / "run/checkpoints/000004/training_state.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="Delete this folder to resume from an earlier one"):
        train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"batch": 0}, {"learning_rate": RATE.scaled(-1.0)}, {"rollout": 4}])
def test_senseless_schedules_are_refused(changes):
    with pytest.raises(UserError):
        replace(STAGE_TWO, **changes)


def test_an_unknown_preset_is_named():
    with pytest.raises(UserError, match="Did you mean 'tiny'"):
        PRESETS["tyni"]


def test_pictures_too_small_for_the_preset_are_refused(episodes_folder, tmp_path):
    small = load_mixture([f"sim:{episodes_folder}"], short_side=64)
    with pytest.raises(UserError, match="--size 128"):
        pretrain(small, tmp_path / "run", "tiny", STAGE_ONE, seed=0, report=quiet)


def test_stage_one_learns_from_videos_alone_with_the_published_objective(tmp_path):
    """Two phases, crops, tubelets of two frames, no decoders; in bfloat16 and with recomputed activations."""
    folder = tmp_path / "videos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        write_video(folder / f"{name}.mp4", rng.integers(0, 256, (20, 96, 128, 3), np.uint8), rate=8)
    config = replace(
        get_recipe("abbreviated", "tiny"),
        steps=2,
        batch=2,
        phases=(Phase(0.5, frames=2, image_size=64), Phase(0.5, frames=4, image_size=128)),
    )
    compute = Compute(bfloat16=True, recompute=True)
    mixture = load_mixture([f"video:{folder}"])
    model = pretrain(mixture, tmp_path / "run", "tiny", config, seed=0, report=quiet, compute=compute)
    assert model.state_decoder is None
    assert model.mask_predictor is not None
    assert model.card.measured["rank"] > 1
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    again = pretrain(
        mixture, tmp_path / "again", "tiny", config, seed=0, report=quiet, compute=compute, start=str(tmp_path / "run")
    )
    assert not torch.equal(weights(again), weights(model))


def test_clips_that_no_episode_has_are_refused_before_a_run_begins(mixture, encoder, tmp_path):
    with pytest.raises(UserError, match="2 frames spans 3 s"):
        pretrain(mixture, tmp_path / "run", "tiny", replace(STAGE_ONE, strides=(1, 12)), seed=0, report=quiet)
    with pytest.raises(UserError, match=r"10 frames spans 2\.25 s"):
        train(
            mixture,
            str(encoder),
            tmp_path / "run",
            preset_name="tiny",
            config=replace(STAGE_TWO, frames=10),
            seed=0,
            report=quiet,
        )
    assert not (tmp_path / "run").exists()


def test_heads_alone_are_trained_on_a_whole_model(mixture, encoder, tmp_path):
    whole = train(mixture, str(encoder), tmp_path / "whole", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    heads = replace(STAGE_TWO, heads_only=True)
    start = str(tmp_path / "whole")
    mended = train(
        mixture, start, tmp_path / "heads", preset_name="tiny", config=heads, seed=1, report=quiet, start=start
    )
    before = whole.state_dict()
    changed = {
        name.split(".")[0] for name, value in mended.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"state_decoder", "object_decoder", "goal_policy"}
    assert mended.card.training["begun_with"]["checkpoint"] == start
    assert not mended.card.training["begun_with"]["train"]["heads_only"]
    assert mended.card.training["train"]["heads_only"]
    with pytest.raises(UserError, match="give it as --start"):
        train(mixture, str(encoder), tmp_path / "none", preset_name="tiny", config=heads, seed=0, report=quiet)
    with pytest.raises(UserError, match="it has only an encoder"):
        train(
            mixture,
            str(encoder),
            tmp_path / "none",
            preset_name="tiny",
            config=STAGE_TWO,
            seed=0,
            report=quiet,
            start=str(encoder),
        )
    odd = WorldModel.from_pretrained(start)
    torch.nn.init.normal_(odd.encoder.norm.weight)
    odd.save_pretrained(tmp_path / "odd")
    with pytest.raises(UserError, match="fits its own encoder only"):
        train(
            mixture,
            str(tmp_path / "odd"),
            tmp_path / "odd run",
            preset_name="tiny",
            config=heads,
            seed=0,
            report=quiet,
            start=start,
        )
    WorldModel.from_pretrained(start).with_card(period=1.06).save_pretrained(tmp_path / "slow")
    with pytest.raises(UserError, match=r"steps of 1\.06 s; these data's are 0\.25 s"):
        train(
            mixture,
            start,
            tmp_path / "slow run",
            preset_name="tiny",
            config=heads,
            seed=0,
            report=quiet,
            start=str(tmp_path / "slow"),
        )
    shutil.rmtree(tmp_path / "whole")
    with pytest.raises(UserError):
        train(mixture, start, tmp_path / "heads", preset_name="tiny", config=heads, seed=1, report=quiet, start=start)


def test_stage_two_begun_with_another_model_knows_its_data(mixture, encoder, tmp_path):
    other = train(mixture, str(encoder), tmp_path / "other", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    other.with_card(data=({"seeds": [77]},)).save_pretrained(tmp_path / "start")
    slow, start = replace(STAGE_TWO, steps=1, learning_rate=SLOW.learning_rate), str(tmp_path / "start")
    model = train(
        mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=slow, seed=5, report=quiet, start=start
    )
    assert 77 in model.card.training_seeds()
    for name, value in other.state_dict().items():
        if name.startswith(("predictor", "goal_policy")):
            torch.testing.assert_close(model.state_dict()[name], value, atol=1e-6, rtol=0)


def test_a_start_hands_on_its_provenance(mixture, clips, encoder, tmp_path):
    other = WorldModel.from_pretrained(encoder).with_card(license="theirs", data=({"seeds": [77]},))
    other.save_pretrained(tmp_path / "other")
    model = pretrain(mixture, tmp_path / "run", "tiny", STAGE_ONE, seed=0, report=quiet, start=str(tmp_path / "other"))
    assert model.card.license == "theirs"
    assert model.card.training_seeds() == {77, *clips.record["seeds"]}
    assert "pretrain" in model.card.training["encoder_begun_with"]
    whole = train(
        mixture,
        str(tmp_path / "run"),
        tmp_path / "whole",
        preset_name="tiny",
        config=replace(STAGE_TWO, steps=1),
        seed=0,
        report=quiet,
    )
    assert whole.card.training["encoder_begun_with"] == model.card.training["encoder_begun_with"]
    begun = {name: value for name, value in other.state_dict().items() if name.startswith("object_decoder")}
    unchanged = pretrain(
        mixture, tmp_path / "slow", "tiny", SLOW, seed=0, report=quiet, start=str(tmp_path / "other")
    ).state_dict()
    assert all(torch.allclose(unchanged[name], value, atol=1e-6) for name, value in begun.items())
    shutil.rmtree(tmp_path / "other")  # a finished run doesn't ask for it again
    again = pretrain(mixture, tmp_path / "run", "tiny", STAGE_ONE, seed=0, report=quiet, start=str(tmp_path / "other"))
    assert again.card.to_json() == model.card.to_json()
    odd = WorldModel.from_pretrained(encoder)
    odd.with_card(encoder=replace(odd.card.encoder, heads=2))
    odd.save_pretrained(tmp_path / "odd")
    with pytest.raises(UserError, match=r"heads=2.*the preset is a .*heads=4"):
        pretrain(mixture, tmp_path / "new", "tiny", STAGE_ONE, seed=0, report=quiet, start=str(tmp_path / "odd"))
    assert not (tmp_path / "new").exists()  # the right command finds nothing in its way


def test_a_gradient_that_is_not_a_number_never_reaches_the_weights(tmp_path):
    class Diverging(torch.nn.Linear):
        def forward(self, x):
            return {"loss": (super().forward(x).sum() * 0).sqrt()}  # 0 with a slope that is no number

    layer, run = Diverging(1, 1), Run(tmp_path, "train", 1, Compute())
    run.restore(WorldModel.from_pretrained("tiny"))
    before = layer.weight.clone()
    with pytest.raises(UserError, match="gradient of step 0 is nan"):
        fit(
            run,
            layer,
            STAGE_ONE,
            draw=lambda step: torch.zeros(1, 1),
            tensors=lambda step, x: (x,),
            evaluations=[],
            report=quiet,
        )
    assert torch.equal(layer.weight, before)


def test_planning_is_tried_on_the_way(mixture, encoder, tmp_path):
    class Trial:
        every = 2

        def check(self, model):
            pass

        def success(self, model):
            return {"reach_box": 0.5}

    train(
        mixture,
        str(encoder),
        tmp_path / "run",
        preset_name="tiny",
        config=STAGE_TWO,
        seed=0,
        report=quiet,
        plan=Trial(),
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["planning/reach_box"] for line in lines if "planning/reach_box" in line] == [0.5, 0.5]


def test_without_commands_there_is_no_goal_policy(mixture, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(mixture, "has_commands", lambda: False)
    model = train(
        mixture,
        str(encoder),
        tmp_path / "run",
        preset_name="tiny",
        config=replace(STAGE_TWO, steps=1),
        seed=0,
        report=quiet,
    )
    assert model.goal_policy is None
    assert WorldModel.from_pretrained(tmp_path / "run").card.goal_policy is None
