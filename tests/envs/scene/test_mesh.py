"""Meshes with fewer faces."""

import numpy as np

from vjepa_sim.envs.scene.mesh import decimate


def sphere(n=24):
    theta, phi = np.meshgrid(
        np.linspace(0.05, np.pi - 0.05, n), np.linspace(0, 2 * np.pi, n, endpoint=False), indexing="ij"
    )
    vertices = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(n - 1), np.arange(n), indexing="ij")
    a, b, c, d = i * n + j, i * n + (j + 1) % n, (i + 1) * n + j, (i + 1) * n + (j + 1) % n
    return vertices, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])


def test_decimation_keeps_the_shape_with_fewer_faces():
    vertices, faces = sphere()
    fewer_vertices, fewer_faces = decimate(vertices, faces, 0.3)
    assert 4 <= len(fewer_faces) < len(faces) / 2
    assert fewer_faces.max() < len(fewer_vertices)
    assert np.all((fewer_faces[:, 0] != fewer_faces[:, 1]) & (fewer_faces[:, 1] != fewer_faces[:, 2]))
    radii = np.linalg.norm(fewer_vertices, axis=1)
    assert radii.min() > 0.8
    assert radii.max() <= 1.0 + 1e-9


def test_a_tiny_mesh_is_left_alone():
    vertices, faces = sphere(6)
    vertices = vertices + 2.0  # all in one cell
    same_vertices, same_faces = decimate(vertices, faces, 100.0)
    assert same_vertices is vertices
    assert same_faces is faces
