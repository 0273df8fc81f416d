"""Collection of simulated episodes: behaviors, and the processes that run them."""
