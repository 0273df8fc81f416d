"""Networks: encoder, predictors, decoders, goal policy, and what they are made of."""
