"""Deploy an agent on a robot, simulated or real: preflight, episodes, recordings."""
