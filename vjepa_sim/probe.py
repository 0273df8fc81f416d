"""How well positions can be read off frozen features: watch this, not the loss."""

from __future__ import annotations

import numpy as np
import torch


def ridge_probe(features: torch.Tensor, targets: torch.Tensor, test: np.ndarray, penalty: float = 10.0) -> np.ndarray:
    """Mean absolute error of a ridge regression from all tokens of a frame.

    Args:
        features: [F, tokens, dim].
        targets: [F, K]; rows with NaN are left out.
        test: boolean [F], the frames that are scored; the others are fitted on.
        penalty: of the ridge, for standardised features.

    Returns:
        [K], in the targets' units; NaN if nothing is known to fit or score.
    """
    known = torch.isfinite(targets).all(1).numpy()
    train, test = known & ~test, known & test
    if train.sum() < 10 or test.sum() < 1:
        return np.full(targets.shape[1], np.nan)
    x = features.flatten(1).double()
    x_train, x_test = x[train], x[test]
    mean, std = x_train.mean(0), x_train.std(0) + 1e-6
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    y = targets.double()
    offset = y[train].mean(0)
    # The dual form: as many unknowns as frames, not as features.
    gram = x_train @ x_train.T
    scale = gram.diagonal().mean() / len(gram)
    weights = torch.linalg.solve(gram + penalty * scale * torch.eye(len(gram), dtype=gram.dtype), y[train] - offset)
    predicted = x_test @ (x_train.T @ weights) + offset
    return (predicted - y[test]).abs().mean(0).numpy()


def feature_rank(features: torch.Tensor) -> float:
    """Effective rank of the features [F, tokens, dim]: the exponential of their spectrum's entropy."""
    x = features.flatten(0, 1).double()
    x = x - x.mean(0)
    values = torch.linalg.eigvalsh(x.T @ x / len(x)).clamp_min(0)
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * (share + 1e-12).log()).sum()))
