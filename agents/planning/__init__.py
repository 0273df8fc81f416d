"""Plan toward goal images with a world model: model-predictive control by the cross-entropy method."""
