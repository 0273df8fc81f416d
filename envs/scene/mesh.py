"""Mesh simplification: on a CPU the rendering time of an image grows with the number of faces."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.engine import mujoco


def decimate(vertices: np.ndarray, faces: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Simplify a mesh by vertex clustering (Rossignac and Borrel, 1993).

    Args:
        vertices: vertices, float [V, 3], metres.
        faces: vertex indices of the faces, int [F, 3].
        cell: edge of the cubic cells in which all vertices are merged, metres.

    Returns:
        Vertices [V', 3] and faces [F', 3], without collapsed faces. A mesh of which fewer than four faces or vertices
        would remain is returned unchanged.
    """
    keys = np.floor(vertices / cell).astype(np.int64)
    _, cluster, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    cluster = cluster.reshape(-1)
    merged = np.zeros((len(count), 3))
    np.add.at(merged, cluster, vertices)
    merged /= count[:, None]

    new_faces = cluster[faces]
    a, b, c = new_faces.T
    new_faces = new_faces[(a != b) & (b != c) & (a != c)]
    if len(new_faces) == 0:
        return vertices, faces
    # One face per set of corners: clustering makes many coincide.
    _, first = np.unique(np.sort(new_faces, axis=1), axis=0, return_index=True)
    new_faces = new_faces[np.sort(first)]
    used, renumbered = np.unique(new_faces, return_inverse=True)
    if len(new_faces) < 4 or len(used) < 4:
        return vertices, faces
    return merged[used], renumbered.reshape(-1, 3)


def simplify_meshes(spec: mujoco.MjSpec) -> None:
    """Replace each drawn mesh by a coarser one, with cells of 10 mm on the arm and 4 mm on the gripper."""
    compiled = spec.compile()
    drawn = [geom for body in spec.bodies for geom in body.geoms if geom.meshname and not geom.contype]
    for name in sorted({geom.meshname for geom in drawn}):
        mesh = compiled.mesh(name).id
        first, count = int(compiled.mesh_vertadr[mesh]), int(compiled.mesh_vertnum[mesh])
        face, faces = int(compiled.mesh_faceadr[mesh]), int(compiled.mesh_facenum[mesh])
        # The compiler moves a mesh to its inertial frame; undo that for the vertices.
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, compiled.mesh_quat[mesh])
        vertices = compiled.mesh_vert[first : first + count] @ rotation.reshape(3, 3).T + compiled.mesh_pos[mesh]
        cell = 0.004 if name.startswith("gripper0") else 0.010
        vertices, triangles = decimate(vertices, compiled.mesh_face[face : face + faces], cell)
        spec.add_mesh(
            name=f"{name}-coarse",
            uservert=vertices.ravel(),
            userface=triangles.ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        for geom in drawn:
            if geom.meshname == name:
                geom.meshname = f"{name}-coarse"
    used = {geom.meshname for body in spec.bodies for geom in body.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)
