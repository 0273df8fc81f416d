"""Training: the loop, both stages, their batches and schedules, run folders, distributed processes."""
