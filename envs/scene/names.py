"""Names of the scene's elements, and their collision bits."""

FLANGE_SITE = "flange"
OBJECT_BODY = "object"
OBJECT_JOINT = "object_joint"
TABLE_GEOM = "table"
END_EFFECTOR_BODY = "robot0_right_hand"  # robosuite's name; carries the gripper
LIGHT = "key"
WALL_GEOMS = (
    "wall_leftcorner_visual",
    "wall_rightcorner_visual",
    "wall_left_visual",
    "wall_right_visual",
    "wall_rear_visual",
    "wall_front_visual",
)
FLOOR_GEOM = "floor"
DISTRACTORS = tuple(f"distractor{i}" for i in range(4))

# Collision bits as (contype, conaffinity): the robot collides with table and object, never with itself; the table with
# both. For a part of an object see vjepa_sim.envs.objects.object_spec.
ROBOT, TABLE = (1, 2), (2, 0)

# robosuite's textures for domain randomisation; the first is the nominal one.
TABLE_TEXTURES = (
    "light-wood",
    "dark-wood",
    "red-wood",
    "blue-wood",
    "green-wood",
    "gray-woodgrain",
    "ceramic",
    "gray-felt",
)
WALL_TEXTURES = ("light-gray-plaster", "cream-plaster", "pink-plaster", "yellow-plaster", "white-bricks")
FLOOR_TEXTURES = ("light-gray-floor-tile", "wood-tiles", "wood-varnished-panels")
