"""Calibration of a world model to a camera at another place than in training, by a rotation of planned motions.

A model without the camera's pose as input infers directions of motion from the images alone, so from another azimuth it
infers rotated ones. To calibrate, the arm makes random horizontal motions, the model infers each from the images before
and after it, and least squares map inferred motions to true ones: true = W (inferred - offset). W is nearly a rotation
(V-JEPA 2, arXiv 2506.09985, section 11.4). The nearest rotation, U Vᵀ of its singular value decomposition, is applied
to what the model plans. The offset, which the paper does not have, is the motion that the model infers where there is
none, as the arm's measured state and the image from another place contradict each other. Without it, W is biased.
"""
