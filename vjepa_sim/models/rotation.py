"""Batched pose arithmetic on tensors, the counterpart of :mod:`vjepa_sim.envs.pose`."""

from __future__ import annotations

import torch


def euler_to_matrix(euler: torch.Tensor) -> torch.Tensor:
    """Convert extrinsic "xyz" Euler angles [..., 3] in radians to rotation matrices [..., 3, 3]."""
    cr, cp, cy = euler.cos().unbind(-1)
    sr, sp, sy = euler.sin().unbind(-1)
    rows = [
        torch.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], -1),
        torch.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], -1),
        torch.stack([-sp, cp * sr, cp * cr], -1),
    ]
    return torch.stack(rows, -2)


def matrix_to_euler(matrix: torch.Tensor) -> torch.Tensor:
    """Convert rotation matrices [..., 3, 3] to extrinsic "xyz" Euler angles [..., 3] in radians."""
    roll = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    pitch = torch.asin(matrix[..., 2, 0].neg().clamp(-1, 1))
    yaw = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return torch.stack([roll, pitch, yaw], -1)


def integrate(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Apply actions [..., 7] to states [..., 7], as :func:`vjepa_sim.envs.pose.integrate`."""
    turned = euler_to_matrix(action[..., 3:6]) @ euler_to_matrix(state[..., 3:6])
    gripper = (state[..., 6:] + action[..., 6:]).clamp(0, 1)
    return torch.cat([state[..., :3] + action[..., :3], matrix_to_euler(turned), gripper], -1)


def difference(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Actions [..., 7] from states [..., 7] to others, as :func:`vjepa_sim.envs.pose.difference`."""
    turn = euler_to_matrix(after[..., 3:6]) @ euler_to_matrix(before[..., 3:6]).mT
    moved, gripped = after[..., :3] - before[..., :3], after[..., 6:] - before[..., 6:]
    return torch.cat([moved, matrix_to_euler(turn), gripped], -1)
