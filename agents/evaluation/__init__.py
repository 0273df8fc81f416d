"""Evaluate agents on held-out episodes: success rates, intervals, videos, action scores."""
