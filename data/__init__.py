"""Trajectories: record, read, write."""
