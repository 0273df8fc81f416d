"""Networks: encoder, predictors, decoders, goal policy, and their building blocks."""
