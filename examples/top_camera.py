"""A second camera of one's own: one that looks straight down on the table, recorded under a role of its own.

Try it::

    vjepa-sim collect --plugin examples/top_camera.py --cameras left,top --out episodes --episodes 100
"""

from vjepa_sim.envs.scene.cameras import CAMERAS, CameraSpec, Viewpoint

CAMERAS.register(
    CameraSpec(
        name="top",
        role="top",
        viewpoint=Viewpoint(position=(0.46, 0.0, 1.30), target=(0.46, 0.0, 0.0), fovy=40.0, up=(-1.0, 0.0, 0.0)),
    )
)
