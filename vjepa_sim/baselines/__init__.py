"""Baselines: other world models and policies to compare with, see docs/baselines.md."""
