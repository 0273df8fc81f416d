"""Model-predictive control toward goal images with a world model and the cross-entropy method."""
