"""The scene: robosuite's Franka and gripper, a table, an object, a camera.

World frame = robot base frame: x forward, y left, z up, table top at z = 0. The arm stands on the table.
"""
