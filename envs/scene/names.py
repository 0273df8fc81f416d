"""What things in the scene are called, and who touches whom."""

GRIPPERS = ("robotiq", "panda_hand")
OBJECTS = ("cup", "box")

ARM_JOINTS = tuple(f"robot0_joint{i}" for i in range(1, 8))
FLANGE_SITE = "flange"
OBJECT_BODY = "object"
OBJECT_JOINT = "object_joint"
TABLE_GEOM = "table"
HAND_BODY = "robot0_right_hand"
CAMERA = "left"  # the one that agents see through
WRIST = "wrist"
CAMERAS = (CAMERA, "right", WRIST)
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

# Who touches whom, as (contype, conaffinity): the robot meets table and object, never itself; the table meets both.
ROBOT, TABLE = (1, 2), (2, 0)
MEETS_ROBOT, MEETS_TABLE, MEETS_BOTH = (0, 1), (0, 2), (0, 3)
