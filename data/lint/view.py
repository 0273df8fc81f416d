"""Camera poses that don't fit the images.

The gripper is projected into the image, which should change there when the arm moves. The fit is the correlation, pixel
by pixel, between the projected gripper and the image's motion. Other camera poses (turned, moved, mirrored, inverted)
are tried too: one that fits much better shows the mistake.

The thresholds were set on simulated images, where the fit of correct poses is 0.40 (0.14 to 0.56). A pose that is wrong
only along the line of sight, or by less than some 10 cm or 10°, isn't found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.lint.finding import WARNING, Finding
from vjepa_sim.data.lint.poses import OTHER_SIDE, SMALL, WHOLE
from vjepa_sim.data.lint.subject import Subject
from vjepa_sim.envs.pose import POSITION, ROTATION

FINGERTIP = 0.15  # m along the flange's z axis: 0.10 (Franka Hand) to 0.16 (Robotiq)
GRIPPER_RADIUS = 0.06  # m around the line from flange to fingertip
GRIPPER_FROM = 0.3  # share of that line at which the gripper begins; before it is the arm
CLOSEST = 0.05  # m in front of the camera
NOMINAL_VIEW = 100.0  # degrees: horizontal field of DROID's ZED 2 at 720p, where intrinsics are missing
MOVES = 0.01  # least motion of a used step: m from row to row
FEWEST_STEPS, MOST_STEPS = 5, 40  # used steps, with the gripper in the image
OUTSIDE = 0.7  # largest share of rows with the fingertip outside the image
FIT = 0.13  # least fit of a correct pose; the worst of 2400 has 0.14
BETTER = 0.15  # largest gain of another pose over a correct one; none of 2400 has more
POOLED_BETTER = 0.06  # the same for the mean gain over a data set; correct poses have 0.03
CERTAIN = 4.0  # standard errors
FEWEST_EPISODES = 5
GRID = 32  # pixels of the short side of the images that fits are computed from
REMEDY = (
    "Check the unit and order of the angles (extrinsic xyz, radians), that the pose is the camera's in the base frame "
    "and not its inverse, and that it is this camera's; or calibrate again."
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fit of a camera's poses in one episode.

    Attributes:
        name, number: Name and number of the episode.
        outside: Share of rows with the fingertip outside the image.
        nominal: Whether the field of view was assumed.
        fit: Correlation, or None with too few steps.
        gains: Gains in correlation of other poses, by description.
        inside: If the gripper is outside: share of rows with it inside for other poses, by description.
    """

    name: str
    number: int
    outside: float
    nominal: bool
    fit: float | None = None
    gains: dict[str, float] = field(default_factory=dict)
    inside: dict[str, float] = field(default_factory=dict)


def measure_fit(subject: Subject) -> Fit | None:
    """The fit of an episode's camera; None for a wrist camera, or without poses."""
    camera, states = subject.camera, subject.episode.states
    if camera.role == "wrist" or camera.extrinsics is None:
        return None
    height, width = subject.energy.shape[1:]
    block = max(1, min(height, width) // GRID)
    size = (height // block, width // block)
    nominal = camera.intrinsics is None
    matrix = _scaled(camera.intrinsics, camera.frames.shape[1:3], (height / block, width / block))
    others = {
        f"of camera {each.serial}": (lambda poses, theirs=each.extrinsics: theirs)
        for each in subject.episode.cameras
        if each.role != "wrist" and each.serial != camera.serial and each.extrinsics is not None
    }
    whole = WHOLE | (others or OTHER_SIDE)
    shown = _shown(states, camera.extrinsics, matrix, size)
    outside = float(1 - shown.mean())
    if outside > OUTSIDE:
        inside = {
            name: float(_shown(states, change(camera.extrinsics), matrix, size).mean())
            for name, change in whole.items()
        }
        return Fit(name=subject.name, number=subject.number, outside=outside, nominal=nominal, inside=inside)
    energy = subject.energy[:, : size[0] * block, : size[1] * block]
    energy = energy.reshape(-1, size[0], block, size[1], block).mean((2, 4))
    rows = np.flatnonzero((subject.moved > MOVES) & shown[:-1] & shown[1:] & (energy.sum((1, 2)) > 0))
    if nominal or len(rows) < FEWEST_STEPS:
        return Fit(name=subject.name, number=subject.number, outside=outside, nominal=nominal)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_STEPS)).astype(int))]

    def fit(poses: np.ndarray) -> float:
        return _fit(states, poses, matrix, energy[rows], rows)

    here = fit(camera.extrinsics)
    gains = {name: fit(change(camera.extrinsics)) - here for name, change in (whole | SMALL).items()}
    return Fit(name=subject.name, number=subject.number, outside=outside, nominal=nominal, fit=here, gains=gains)


def misplaced_cameras(fits: Sequence[Fit]) -> list[Finding]:
    """Episodes with a camera pose that doesn't fit, and a pose that fits the whole data set better."""
    findings = []
    known = [each for each in fits if each.fit is not None]
    if len(known) >= FEWEST_EPISODES:
        gains = {
            name: np.array([each.gains[name] for each in known if name in each.gains])
            for name in {name: None for each in known for name in each.gains}
        }
        certain = {
            name: float(values.mean())
            for name, values in gains.items()
            if len(values) >= FEWEST_EPISODES
            and values.mean() > max(POOLED_BETTER, CERTAIN * values.std(ddof=1) / np.sqrt(len(values)))
        }
        fit = float(np.median([each.fit for each in known if each.fit is not None]))
        if certain or fit < FIT:
            what = f"the gripper isn't where the image moves: fit {fit:.2f} (median of {len(known)} episodes)"
            if certain:
                best = max(certain, key=certain.__getitem__)
                what += f"; the pose {best} fits better by {certain[best]:.2f}"
            findings.append(
                Finding(
                    check="camera pose", episode="", number=None, row=None, severity=WARNING, what=what, remedy=REMEDY
                )
            )
    return findings + [finding for each in fits for finding in _judge(each)]


def _judge(fit: Fit) -> list[Finding]:
    verdict = _verdict(fit)
    if verdict is None:
        return []
    what, remedy = verdict
    return [
        Finding(
            check="camera pose",
            episode=fit.name,
            number=fit.number,
            row=None,
            severity=WARNING,
            what=what,
            remedy=remedy,
        )
    ]


def _verdict(fit: Fit) -> tuple[str, str] | None:
    """What is wrong with a camera's pose, and the remedy; None if nothing is."""
    if fit.outside > OUTSIDE:
        assumed = f" (assuming a horizontal field of view of {NOMINAL_VIEW:.0f}°)" if fit.nominal else ""
        what = f"the fingertip is outside the image in {fit.outside:.0%} of the rows{assumed}"
        best = max(fit.inside, key=fit.inside.__getitem__)
        if fit.inside[best] > OUTSIDE:
            what += f"; with the pose {best} it is inside in {fit.inside[best]:.0%}"
        return what, REMEDY + " If the gripper really is out of sight, leave the episode out."
    if fit.fit is None:
        return None
    best = max(fit.gains, key=fit.gains.__getitem__)
    if fit.fit >= FIT and fit.gains[best] <= BETTER:
        return None
    what = f"the gripper isn't where the image moves: fit {fit.fit:.2f}"
    if fit.gains[best] > BETTER:
        what += f"; the pose {best} has {fit.fit + fit.gains[best]:.2f}"
    return what, REMEDY


# --- projection -----------------------------------------------------------------------------------------------


def _scaled(intrinsics: np.ndarray | None, full: tuple[int, int], size: tuple[float, float]) -> np.ndarray:
    """Pinhole matrix for images reduced from ``full`` to ``size`` (height, width)."""
    if intrinsics is None:
        focal = full[1] / 2 / np.tan(np.radians(NOMINAL_VIEW) / 2)
        intrinsics = np.array([[focal, 0, full[1] / 2], [0, focal, full[0] / 2], [0, 0, 1]])
    return np.diag([size[1] / full[1], size[0] / full[0], 1.0]) @ intrinsics


def project(points: np.ndarray, poses: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [T, 2] (x, y) and depths [T] in metres of points [T, 3] in the base frame, seen from poses [T, 6]."""
    seen = Rotation.from_euler("xyz", poses[:, 3:]).inv().apply(points - poses[:, :3])
    depth = seen[:, 2]
    pixels = seen @ matrix.T
    return pixels[:, :2] / np.where(np.abs(depth) < 1e-6, 1e-6, depth)[:, None], depth


def _along_gripper(states: np.ndarray, metres: float) -> np.ndarray:
    """Points [T, 3] on the flange's z axis."""
    return states[:, POSITION] + metres * Rotation.from_euler("xyz", states[:, ROTATION]).as_matrix()[:, :, 2]


def _shown(states: np.ndarray, poses: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether the fingertip is in the image, bool [T]."""
    pixels, depth = project(_along_gripper(states, FINGERTIP), poses, matrix)
    inside = (pixels >= 0) & (pixels < [size[1], size[0]])
    return inside.all(1) & (depth > CLOSEST)


def _fit(states: np.ndarray, poses: np.ndarray, matrix: np.ndarray, energy: np.ndarray, rows: np.ndarray) -> float:
    """Mean correlation between the gripper's shape, before and after a step, and the image's motion [N, h, w]."""
    shapes = [_gripper_shape(states[place], poses[place], matrix, energy.shape[1:]) for place in (rows, rows + 1)]
    shape = (shapes[0] | shapes[1]).astype(np.float32)
    shape -= shape.mean((1, 2), keepdims=True)
    energy = energy - energy.mean((1, 2), keepdims=True)
    scale = np.sqrt((shape**2).sum((1, 2)) * (energy**2).sum((1, 2)))
    return float(((shape * energy).sum((1, 2)) / np.maximum(scale, 1e-9)).mean())


def _gripper_shape(states: np.ndarray, poses: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels covered by the gripper, bool [N, h, w]."""
    flange, flange_depth = project(_along_gripper(states, 0.0), poses, matrix)
    tip, tip_depth = project(_along_gripper(states, FINGERTIP), poses, matrix)
    depth = np.minimum(flange_depth, tip_depth)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) + 0.5

    def each(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[:, None, None]

    line_x, line_y = each(tip[:, 0] - flange[:, 0]), each(tip[:, 1] - flange[:, 1])
    here_x, here_y = x - each(flange[:, 0]), y - each(flange[:, 1])
    along = (here_x * line_x + here_y * line_y) / np.maximum(line_x**2 + line_y**2, 1e-9)
    along = np.clip(along, GRIPPER_FROM, 1)
    distance = (here_x - along * line_x) ** 2 + (here_y - along * line_y) ** 2
    radius = GRIPPER_RADIUS * matrix[0, 0] / np.maximum(depth, CLOSEST)
    return (distance < each(radius**2)) & (depth > CLOSEST)[:, None, None]
