"""World models of other kinds on the same contract, to compare with: see docs/baselines.md."""
