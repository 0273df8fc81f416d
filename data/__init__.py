"""Trajectories: recording, reading, writing, mixing, checking."""
