import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vjepa_sim.cli import main
from vjepa_sim.data.goal_folder import (
    Origin,
    fingerprint_goals,
    fit_photo,
    load_goals,
    load_origin,
    photo_goal,
    save_goals,
)
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.start import Start

CAMERA = {"address": "0"}
START = Start(
    task="grasp",
    seed=3,
    gripper="robotiq",
    object_name="box",
    joints=(0.1,) * 7,
    closedness=0.0,
    position=(0.5, 0.0, 0.03),
    yaw=0.2,
)


def goal(value, size=16, **named):
    return Goal(np.full((size, size, 3), value, np.uint8), **{"steps": 4, **named})


def test_goals_come_back_in_order(tmp_path):
    state = np.arange(7, dtype=np.float32) / 10
    save_goals(tmp_path / "goals", [goal(1, name="grasped"), goal(2, state=state)], CAMERA)
    save_goals(tmp_path / "goals", [goal(3, steps=8)], CAMERA)
    goals = load_goals(tmp_path / "goals")
    assert [each.rgb[0, 0, 0] for each in goals] == [1, 2, 3]
    assert [each.steps for each in goals] == [4, 4, 8]
    assert goals[0].name == "grasped" and goals[0].state is None
    np.testing.assert_array_equal(goals[1].state, state)


def test_another_camera_or_size_is_refused(tmp_path):
    save_goals(tmp_path / "goals", [goal(1)], CAMERA)
    with pytest.raises(UserError, match="another camera"):
        save_goals(tmp_path / "goals", [goal(1)], {"address": "1"})
    with pytest.raises(UserError, match="different sizes"):
        save_goals(tmp_path / "goals", [goal(1, size=8)], CAMERA)
    assert len(load_goals(tmp_path / "goals")) == 1


def test_the_start_of_their_episode_stays_beside_them(tmp_path):
    save_goals(tmp_path / "goals", [goal(1)], CAMERA, START)
    assert load_origin(tmp_path / "goals") == Origin(CAMERA, START)
    with pytest.raises(UserError, match="already"):
        save_goals(tmp_path / "goals", [goal(1)], CAMERA, START)
    assert len(load_goals(tmp_path / "goals")) == 1
    with pytest.raises(UserError, match=r"seed 3, now grasp, box, seed 4"):
        save_goals(tmp_path / "goals", [goal(2)], CAMERA, replace(START, seed=4))
    with pytest.raises(UserError, match="now none of the simulator's"):
        save_goals(tmp_path / "goals", [goal(2)], CAMERA)
    save_goals(tmp_path / "real", [goal(1)], CAMERA)
    assert load_origin(tmp_path / "real").start is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera": None}, "camera that took the goals is missing"),
        ({"start": {"task": "grasp"}}, "closedness"),
        ({"start": {**START.to_dict(), "joints": [0.0] * 6}}, "7 joints"),
        ({"start": {**START.to_dict(), "yaw": "left"}}, "can't be read"),
    ],
)
def test_a_damaged_origin_is_named(tmp_path, change, message):
    save_goals(tmp_path / "goals", [goal(1)], CAMERA, START)
    path = tmp_path / "goals" / "goals.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        load_origin(tmp_path / "goals")
    with pytest.raises(UserError, match=message):
        save_goals(tmp_path / "goals", [goal(2)], CAMERA, START)


def test_other_pictures_or_steps_are_other_goals():
    own = fingerprint_goals([goal(1), goal(2)])
    assert own == fingerprint_goals([goal(1, name="other name"), goal(2)])
    for others in ([goal(2), goal(1)], [goal(1), goal(2, steps=5)], [goal(1)], [goal(1), goal(3)]):
        assert fingerprint_goals(others) != own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goals": []}, "at least one goal"),
        ({"goals": [{"file": "no.png", "name": "", "steps": 1, "state": None}]}, "can't be read"),
        ({"goals": [{"file": "00.png", "name": "", "steps": 0, "state": None}]}, "goals: A goal of 0 steps"),
        ({"goals": [{"file": "00.png", "name": "", "steps": 5.9, "state": None}]}, "whole number"),
        ({"goals": [{"file": "00.png", "name": "", "steps": 3, "state": None}] * 1001}, "1,001 goals; an episode has"),
        ({"goals": [{"file": "00.png", "name": "", "steps": 1, "state": [1, 2]}]}, "7 finite numbers"),
        ({"goals": None}, "can't be read"),
    ],
)
def test_damaged_goals_are_named(tmp_path, change, message):
    save_goals(tmp_path / "goals", [goal(1)], CAMERA)
    path = tmp_path / "goals" / "goals.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        load_goals(tmp_path / "goals")


def test_what_is_no_folder_of_goals_is_named(tmp_path):
    with pytest.raises(UserError, match="capture-goal"):
        load_goals(tmp_path)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        save_goals(tmp_path, [goal(1)], CAMERA)


def with_file(folder, name):
    save_goals(folder, [goal(1)], CAMERA)
    path = folder / "goals.json"
    content = json.loads(path.read_text())
    content["goals"][0]["file"] = name
    path.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", ".", "", 7, "link.png"])
def test_a_goals_image_lies_in_its_folder(tmp_path, name):
    Image.new("RGB", (16, 16)).save(tmp_path / "secret.png")
    folder = with_file(tmp_path / "goals", name)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(UserError, match="no image in its folder"):
        load_goals(folder)


@pytest.mark.parametrize("kind", ["GIF", "EPS"])
def test_other_formats_are_refused(tmp_path, kind):
    folder = with_file(tmp_path / "goals", "other.png")
    Image.new("RGB", (16, 16)).save(folder / "other.png", kind)
    with pytest.raises(UserError, match="not a PNG or JPEG"):
        load_goals(folder)


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path):
    folder = with_file(tmp_path / "goals", "huge.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    with pytest.raises(UserError, match="pixels"):
        load_goals(folder)


def test_a_photo_is_upright_bounded_and_cut_to_the_cameras_shape(tmp_path):
    photo = Image.new("RGB", (2000, 1000), (200, 0, 0))
    photo.paste((0, 0, 200), (1000, 0, 2000, 1000))  # the right half, which is the lower one once it is upright
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.save(tmp_path / "photo.jpg", exif=turned)
    taken, camera = photo_goal(tmp_path / "photo.jpg", 10, "there")
    assert camera == {"photo": "photo.jpg"}
    assert (taken.rgb.shape, taken.steps, taken.name, taken.state) == ((1440, 720, 3), 10, "there", None)
    assert taken.rgb[100, 360, 0] > 150 and taken.rgb[1300, 360, 2] > 150
    fitted = fit_photo(taken, 48, 64)
    assert fitted.rgb.shape == (48, 64, 3) and fitted.steps == 10


def test_photos_follow_each_other_and_nothing_of_others_is_replaced(tmp_path, capsys):
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)).save(tmp_path / name)
        command = ["capture-goal", "--image", str(tmp_path / name), "--out", str(tmp_path / "goals")]
        assert main([*command, "--steps", "200000"]) == 2
        assert main(command) == 0
    assert len(load_goals(tmp_path / "goals")) == 2
    (tmp_path / "goals" / "02.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe.png")
    assert main(["capture-goal", "--image", str(tmp_path / "pipe.png"), "--out", str(tmp_path / "more")]) == 2


def test_the_command_takes_a_goal_from_a_photo(tmp_path, capsys):
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    out = str(tmp_path / "goals")
    assert main(["capture-goal", "--image", str(tmp_path / "photo.png"), "--steps", "7", "--out", out]) == 0
    (taken,) = load_goals(tmp_path / "goals")
    assert taken.steps == 7
    np.testing.assert_array_equal(taken.rgb, rgb)
    assert main(["capture-goal", "--image", str(tmp_path / "photo.png"), "--seed", "1", "--out", out]) == 2
    assert "--seed: no effect with --image" in capsys.readouterr().err
