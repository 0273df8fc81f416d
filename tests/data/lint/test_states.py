from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.lint.changes import with_states
from tests.data.lint.check import check, names
from vjepa_sim.envs.arms import ARMS, PANDA

pytestmark = pytest.mark.slow


def _scale(columns, factor):
    def change(states):
        states[:, columns] *= factor

    return change


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (_scale(slice(3, 6), 180 / np.pi), "degrees"),
        (_scale(slice(0, 3), 100), "centimetres"),
        (_scale(slice(0, 3), 1000), "millimetres"),
        (_scale(6, 100), "0 to 100"),
        (_scale(6, 255), "0 to 255"),
    ],
)
def test_units(good, change, hint):
    episode = next(each for each in good if each.states[:, 6].max() > 0.5)
    errors = [each for each in check([with_states(episode, change)]) if each.severity == "error"]
    assert len(errors) == 1 and errors[0].check == "units" and hint in errors[0].remedy


def test_gripper_width(good):
    def change(states):
        states[:, 6] = 0.085 * (1 - states[:, 6])

    findings = check([with_states(each, change) for each in good])
    assert "width" in next(each.what for each in findings if each.check == "gripper")


def test_inverted_gripper(good):
    def change(states):
        states[:, 6] = 1 - states[:, 6]

    findings = check([with_states(each, change) for each in good])
    assert [(each.check, each.severity) for each in findings] == [("gripper", "warning")]


def test_fingertip_instead_of_flange(good):
    def change(states):
        states[:, :3] += 0.15 * Rotation.from_euler("xyz", states[:, 3:6]).as_matrix()[:, :, 2]

    findings = check([with_states(each, change) for each in good])
    assert "flange" in names(findings)
    findings = check([with_states(each, change, joints=each.joints) for each in good])
    found = [each for each in findings if each.check == "kinematics"]
    assert len(found) == len(good) and "z +0.150" in found[0].what and "tool" in found[0].remedy


def test_another_euler_convention(good):
    def change(states):
        states[:, 3:6] = Rotation.from_euler("xyz", states[:, 3:6]).as_euler("ZYX")

    findings = check([with_states(each, change, joints=each.joints) for each in good])
    assert sum(each.check == "kinematics" for each in findings) == len(good)


def test_joints_are_those_of_the_recorded_arm(good, monkeypatch):
    """Six joints are no Panda's; they are compared with the kinematics of the recorded arm, if it has any."""

    def kinematics(**details):
        episode = replace(good[0], joints=good[0].joints[:, :6], details=details)
        return [each for each in check([episode]) if each.check == "kinematics"]

    six = replace(PANDA, name="six", joints=PANDA.joints[:6], flange_poses=lambda joints: np.zeros((len(joints), 6)))
    for part in (six, replace(six, name="unchecked", flange_poses=None)):
        monkeypatch.setitem(ARMS._parts, part.name, part)
    for details in ({}, {"arm": "panda"}, {"arm": "unregistered"}, {"arm": "unchecked"}):
        assert not kinematics(**details), details
    (found,) = kinematics(arm="six")
    assert "no Panda" not in found.remedy


def test_jumps_of_rotation_and_position(good):
    def turn(states):
        states[9:, 5] += 1.5

    def teleport(states):
        states[9:, 0] += 1.0

    for change in (turn, teleport):
        found = [each for each in check([with_states(good[0], change)]) if each.check == "jumps"]
        assert [each.row for each in found] == [9]


def test_angles_that_wrap_are_no_jumps(good):
    def change(states):
        states[::2, 3] -= 2 * np.pi * np.sign(states[::2, 3])

    assert check([with_states(good[0], change)]) == []
