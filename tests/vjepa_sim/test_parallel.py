"""Two processes over gloo: the same weights as one, sharded or not, and a killed run that goes on."""

import json
import os
import signal
import socket
import time

import pytest
import torch
from safetensors.torch import load_file

from tests.short_measurements import shorten
from tests.warm_process import WarmProcess
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError
from vjepa_sim.training import run as training_run
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

STAGE_ONE = ["--steps", "3", "--batch", "4", "--device", "cpu"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(processes, function, *arguments):
    """Call a function in one process, or in several as torchrun starts them, and wait."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{**place, "WORLD_SIZE": str(processes), "RANK": rank, "LOCAL_RANK": rank} for rank in "01"[:processes]]
    started = [WarmProcess(function, *arguments, variables=rank if processes > 1 else {}) for rank in ranks]
    return [process.wait() for process in started]


def run(processes, *arguments):
    for result in launch(processes, quickly, [str(argument) for argument in arguments]):
        assert result.returncode == 0, result.stderr[-3000:]


def quickly(arguments):
    """Run a command with short measurements."""
    shorten(pytest.MonkeyPatch())
    return main(arguments)


def save_often(arguments):
    """Run a command that writes a checkpoint after every step."""
    training_run.CHECKPOINT_SECONDS = 0
    return main(arguments)


def trained(folder):
    """Weights, and what else is resumed: the online encoder, and Adam's moments, which tell gradients apart."""
    state = load_file(folder / "checkpoints" / "last" / "training_state.safetensors")
    return WorldModel.from_pretrained(folder).state_dict() | state


def assert_same_weights(one, other):
    ours, theirs = trained(one), trained(other)
    assert set(ours) == set(theirs)
    for name in ours:
        torch.testing.assert_close(
            ours[name], theirs[name], atol=2e-4, rtol=1e-3, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.fixture(scope="module")
def encoder(episodes_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "encoder"
    run(1, "pretrain", "--data", f"sim:{episodes_folder}", "--out", out, *STAGE_ONE)
    return out


def test_sharded_weights_give_the_weights_of_one_in_stage_one(episodes_folder, encoder, tmp_path):
    """The other tests replicate the weights."""
    arguments = ["pretrain", "--data", f"sim:{episodes_folder}", *STAGE_ONE, "--shard"]
    run(2, *arguments, "--out", tmp_path / "two")
    assert_same_weights(encoder, tmp_path / "two")


def test_two_processes_give_the_weights_of_one_in_stage_two(episodes_folder, encoder, tmp_path):
    arguments = ["train", "--data", f"sim:{episodes_folder}", "--encoder", encoder, *STAGE_ONE]
    run(1, *arguments, "--out", tmp_path / "one")
    run(2, *arguments, "--out", tmp_path / "two")
    assert_same_weights(tmp_path / "one", tmp_path / "two")


def test_a_killed_run_goes_on_from_its_last_checkpoint(episodes_folder, encoder, tmp_path):
    """Killed, not stopped: what lies in the folder is whole, and the end is that of a run that was left alone."""
    arguments = ["train", "--data", f"sim:{episodes_folder}", "--encoder", encoder, "--steps", 8, "--batch", 2]
    killed = tmp_path / "killed"
    process = WarmProcess(save_often, [str(argument) for argument in (*arguments, "--out", killed)])
    while process.runs and not (killed / "checkpoints" / "last" / "training.json").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = json.loads((killed / "checkpoints" / "last" / "training.json").read_text())["step"]
    assert 0 < step < 8
    run(1, *arguments, "--out", killed)
    run(1, *arguments, "--out", tmp_path / "whole")
    ours, theirs = (WorldModel.from_pretrained(folder).state_dict() for folder in (killed, tmp_path / "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def claim(new, strange):
    """Claim a folder and write into it, then claim one that holds something else. The first process is late."""
    from vjepa_sim.training import distributed

    at_once = distributed.claimed

    def late(*arguments, **options):
        time.sleep(0.5)
        return at_once(*arguments, **options)

    distributed.claimed = late
    with distributed.computing("cpu") as compute:
        with compute.claimed(new, "run.json", {}):
            (new / f"{compute.rank}.txt").write_text("")
        try:
            with compute.claimed(strange, "run.json", {}):
                print("claimed")
        except UserError as error:
            print(error)


def test_no_process_writes_before_the_folder_is_claimed(tmp_path):
    """Where the first process is refused, no other goes on, or waits for ever."""
    new, strange = tmp_path / "new", tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.tex").write_text("")
    first, second = launch(2, claim, new, strange)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert {each.name for each in new.iterdir()} == {".lock", "run.json", "0.txt", "1.txt"}
    assert first.stdout.startswith(f"{strange} is not empty")
    assert second.stdout.startswith(f"The main process could not use {strange}")


@pytest.mark.parametrize("method", ["bc", "lewm", "video"])
def test_two_processes_train_the_others_too(method, episodes_folder, tmp_path):
    """Norms over batches, and noise, are each process's own, so these aren't one's weights; but they're learned."""
    run(2, "baseline", method, "--data", f"sim:{episodes_folder}", "--out", tmp_path / "run", *STAGE_ONE)
    last = tmp_path / "run" / "checkpoints" / "last"
    assert json.loads((last / "training.json").read_text())["step"] == 3
    state = load_file(last / "training_state.safetensors")
    moments = [value for name, value in state.items() if name.endswith("exp_avg")]
    assert all(torch.isfinite(value).all() for value in moments)
    assert any(value.abs().max() > 0 for value in moments)
