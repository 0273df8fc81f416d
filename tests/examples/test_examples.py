"""Each example does its job through the command line, as one file that is named by --plugin."""

import json

import numpy as np
import pytest

from vjepa_sim.data.formats import open_reader

pytestmark = pytest.mark.slow

EVAL = "eval --baselines none --videos 0 --size 128 --object box"
COLLECT = "collect --size 64 --object box --task reach --randomize 0"


def test_bottle(vjepa_sim, successes):
    vjepa_sim(
        "eval --baselines none --videos 0 --size 64 --agent expert --task grasp --object bottle --episodes 2 "
        "--out table",
        plugins=("bottle.py",),
    )
    assert successes("table") == 2


def test_push_and_what_falls_over(vjepa_sim, successes):
    said = vjepa_sim(
        f"{EVAL} --agent expert --task push --episodes 4 --out table",
        "eval --baselines none --videos 0 --size 64 --agent still --task push --episodes 1 --out without-bottle",
        "eval --agent expert --task push --object bottle --episodes 1 --out refused",
        plugins=("push.py", "bottle.py"),
        status=2,
    )
    assert successes("table") >= 3
    assert "Left out: push with bottle. Task 'push' needs" in said
    assert "vjepa-sim: Task 'push' needs an object that stays upright" in said


def test_camera_in_worker_processes_and_a_format_of_ones_own(vjepa_sim, tmp_path):
    vjepa_sim(
        f"{COLLECT} --cameras left,top --episodes 2 --steps 6 --workers 2 --out episodes",
        "convert data episodes --to npz --out npz",
        "convert data npz --to droid --out again",
        plugins=("top_camera.py", "npz_format.py"),
    )
    first, again = open_reader(tmp_path / "episodes"), open_reader(tmp_path / "again", "droid")
    for number in range(2):
        episode, copy = first.read(number), again.read(number)
        assert [camera.role for camera in episode.cameras] == ["ext1", "top"]
        np.testing.assert_array_equal(episode.states, copy.states)
        np.testing.assert_array_equal(episode.stamps, copy.stamps)
        assert (episode.seed, episode.task, episode.success) == (copy.seed, copy.task, copy.success)
        difference = episode.view("top").frames[:].astype(int) - copy.view("top").frames[:]
        assert np.abs(difference).mean() < 3  # two generations of the same codec


def test_a_damaged_file_of_ones_own_format_is_named(vjepa_sim, tmp_path):
    (tmp_path / "npz").mkdir()
    (tmp_path / "npz" / "episode-000000.npz").write_bytes(b"PK\x03\x04 nothing")
    assert "episode-000000.npz" in vjepa_sim("inspect npz", plugins=("npz_format.py",))


def test_agent(vjepa_sim, successes):
    vjepa_sim(f"{EVAL} --agent remember --task reach --episodes 1 --out table", plugins=("remembering_agent.py",))
    assert successes("table") <= 1


def test_energy_term(vjepa_sim, successes):
    vjepa_sim(f"{EVAL} --planner thrifty --task reach --episodes 1 --out table", plugins=("effort_term.py",))
    assert successes("table") == 1


def test_world_model_trained_from_ones_own_format(vjepa_sim, tmp_path, episodes_folder):
    vjepa_sim(
        f"convert data {episodes_folder} --to npz --out npz",
        "baseline cnn --data npz:npz --steps 3 --batch 2 --out model",
        f"{EVAL} --checkpoint model --task reach --episodes 1 --out table",
        plugins=("cnn_world_model.py", "npz_format.py"),
    )
    card = json.loads((tmp_path / "model/checkpoints/last/card.json").read_text())
    assert card["world_model"] == "cnn"
    assert len(card["data"][0]["seeds"]) == 6
    said = vjepa_sim(f"{EVAL} --checkpoint model --task reach --episodes 1 --out refused", plugins=(), status=2)
    assert "world model of kind 'cnn'" in said
    assert "--plugin" in said


def test_arm(vjepa_sim, tmp_path):
    arm = "--arm ur5e --gripper robotiq_140"
    vjepa_sim(
        f"{COLLECT} {arm} --episodes 2 --steps 6 --workers 1 --out episodes",
        "baseline cnn --data sim:episodes --steps 3 --batch 2 --out model",
        f"{EVAL} {arm} --checkpoint model --task reach --episodes 1 --out table",
        "lint episodes",
        plugins=("ur5e.py", "cnn_world_model.py"),
    )
    reader = open_reader(tmp_path / "episodes")
    assert [entry.arm for entry in reader.entries] == ["ur5e", "ur5e"]
    assert reader.read(0).joints.shape[1] == 6
    card = json.loads((tmp_path / "model/checkpoints/last/card.json").read_text())
    assert card["data"][0]["arms"] == ["ur5e"]


def test_expert_on_another_arm(vjepa_sim, successes):
    expert = f"{EVAL} --arm ur5e --gripper robotiq_140 --agent expert --episodes 2"
    vjepa_sim(
        f"{expert} --task grasp --out grasp", f"{expert} --task pick-and-place --out placed", plugins=("ur5e.py",)
    )
    assert successes("grasp") == successes("placed") == 2


def test_a_checkpoint_of_another_arm_is_refused_with_both_named(vjepa_sim):
    options = "--arm ur5e --checkpoint tiny --task reach --episodes 1 --out refused"
    said = vjepa_sim(
        f"{EVAL} {options}",
        f"collect --size 128 --object box --mix planner=1 {options}",
        plugins=("ur5e.py",),
        status=2,
    )
    assert said.count("Checkpoint 'tiny' was trained with the arm panda; this is ur5e.") == 2
