"""Two processes over gloo: the same weights as one, sharded or not, and a killed run that goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

STAGE_ONE = ["--steps", "3", "--batch", "4", "--device", "cpu"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(processes, *program):
    """Run a program, or several processes of it, and wait."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
        command += ["--master-port", str(free_port())]
    return subprocess.run([*command, *map(str, program)], capture_output=True, text=True)


def run(processes, *arguments):
    result = launch(processes, "-m", "vjepa_sim.cli", *arguments)
    assert result.returncode == 0, result.stderr[-3000:]


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


@pytest.mark.parametrize("options", [[], ["--shard"]], ids=["replicated", "sharded"])
def test_two_processes_give_the_weights_of_one_in_stage_one(episodes_folder, encoder, tmp_path, options):
    run(2, "pretrain", "--data", f"sim:{episodes_folder}", "--out", tmp_path / "two", *STAGE_ONE, *options)
    assert_same_weights(encoder, tmp_path / "two")


def test_two_processes_give_the_weights_of_one_in_stage_two(episodes_folder, encoder, tmp_path):
    arguments = ["train", "--data", f"sim:{episodes_folder}", "--encoder", encoder, *STAGE_ONE]
    run(1, *arguments, "--out", tmp_path / "one")
    run(2, *arguments, "--out", tmp_path / "two", "--shard")
    assert_same_weights(tmp_path / "one", tmp_path / "two")


def test_a_killed_run_goes_on_from_its_last_checkpoint(episodes_folder, encoder, tmp_path):
    """Killed, not stopped: what lies in the folder is whole, and the end is that of a run that was left alone."""
    arguments = ["train", "--data", f"sim:{episodes_folder}", "--encoder", encoder, "--steps", 12, "--batch", 2]
    code = (
        "import sys; from vjepa_sim.cli import main; import vjepa_sim.training.run as run; "
        "run.CHECKPOINT_SECONDS = 0; sys.exit(main(sys.argv[1:]))"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments), "--out", str(killed)], stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (killed / "checkpoints" / "last" / "training.json").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = json.loads((killed / "checkpoints" / "last" / "training.json").read_text())["step"]
    assert 0 < step < 12
    run(1, *arguments, "--out", killed)
    run(1, *arguments, "--out", tmp_path / "whole")
    ours, theirs = (WorldModel.from_pretrained(folder).state_dict() for folder in (killed, tmp_path / "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


CLAIMS = """
import sys, time
from pathlib import Path
import vjepa_sim.training.distributed as distributed
from vjepa_sim.envs.errors import UserError

new, strange = map(Path, sys.argv[1:])
of_data = distributed.claimed

def late(*args, **options):
    time.sleep(0.5)
    return of_data(*args, **options)

distributed.claimed = late
with distributed.computing("cpu") as compute:
    with compute.claimed(new, "run.json", {}):
        (new / f"{compute.rank}.txt").write_text("")
    try:
        with compute.claimed(strange, "run.json", {}):
            print("claimed")
    except UserError as error:
        print(f"{compute.rank}: {error}", flush=True)
"""


def test_no_process_writes_before_the_folder_is_claimed(tmp_path):
    """The first process is late here. Where it is refused, no other goes on, or waits for ever."""
    program, new, strange = tmp_path / "claims.py", tmp_path / "new", tmp_path / "strange"
    program.write_text(CLAIMS)
    strange.mkdir()
    (strange / "thesis.tex").write_text("")
    result = launch(2, program, new, strange)
    assert result.returncode == 0, result.stderr[-3000:]
    assert {each.name for each in new.iterdir()} == {"run.json", "0.txt", "1.txt"}
    assert "0: " in result.stdout and "is not empty" in result.stdout
    assert f"1: The main process could not use {strange}" in result.stdout
    assert "claimed" not in result.stdout


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
