"""Names of the scene's elements, and who touches whom."""

FLANGE_SITE = "flange"
OBJECT_BODY = "object"
OBJECT_JOINT = "object_joint"
TABLE_GEOM = "table"
HAND_BODY = "robot0_right_hand"
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

# Who touches whom, as (contype, conaffinity): the robot meets table and object, never itself; the table meets both. An
# object's part meets what its own bits name, see vjepa_sim.envs.objects.object_spec.
ROBOT, TABLE = (1, 2), (2, 0)

# robosuite's textures that a look chooses from; the first is the nominal one.
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
