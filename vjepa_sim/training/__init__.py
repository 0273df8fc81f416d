"""Training: both stages, their batches and schedules, the run's folder, distributed processes."""
