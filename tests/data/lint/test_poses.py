from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.lint.changes import with_poses
from tests.data.lint.check import check, names
from vjepa_sim.data.episode import Camera

pytestmark = pytest.mark.slow


def _inverted(poses):
    turn = Rotation.from_euler("xyz", poses[:, 3:]).inv()
    return np.column_stack([-turn.apply(poses[:, :3]), turn.as_euler("xyz")])


def _turned(poses):
    turn = Rotation.from_euler("xyz", poses[:, 3:]) * Rotation.from_euler("y", 20, degrees=True)
    return np.column_stack([poses[:, :3], turn.as_euler("xyz")])


def _moved(poses):
    aside = Rotation.from_euler("xyz", poses[:, 3:]).apply([0.2, 0, 0])
    return np.column_stack([poses[:, :3] + aside, poses[:, 3:]])


@pytest.mark.parametrize(("change", "hint"), [(_inverted, "inverted"), (_turned, "turned"), (_moved, "fit")])
def test_wrong_camera_poses(good, change, hint):
    findings = check([with_poses(each, change) for each in good])
    assert names(findings) == {"camera pose"}
    assert len({each.number for each in findings} - {None}) >= 5
    assert any(hint in each.what for each in findings)


def test_swapped_cameras(good):
    def swapped(episode):
        one, other = episode.cameras
        return replace(
            episode,
            cameras=(replace(one, extrinsics=other.extrinsics), replace(other, extrinsics=one.extrinsics)),
        )

    findings = check([swapped(each) for each in good], view="ext1")
    assert names(findings) == {"camera pose"}
    assert findings[0].number is None and "of camera right" in findings[0].what


def test_without_intrinsics_only_a_hand_out_of_sight_is_found(good):
    def blind(episode):
        return replace(episode, cameras=tuple(replace(each, intrinsics=None) for each in episode.cameras))

    assert check([blind(each) for each in good]) == []
    findings = check([blind(with_poses(each, _inverted)) for each in good])
    assert len(findings) == len(good) and "assuming" in findings[0].what


def test_the_hand_camera_is_left_out(good):
    camera = replace(good[0].cameras[0], role="wrist", extrinsics=_inverted(good[0].cameras[0].extrinsics))
    assert isinstance(camera, Camera)
    assert "camera pose" not in names(check([replace(good[0], cameras=(camera,))], view="wrist"))
