"""Collect episodes: behaviors, and the processes that run them."""
