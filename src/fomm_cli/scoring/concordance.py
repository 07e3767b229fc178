"""Measure the agreement of two sets of curves: Lin's concordance correlation, for several curves and with a floor."""

from __future__ import annotations

import numpy as np

FLOOR = 1.0
"""Movement, in squared scales, below which a driving video counts as still: errors are then judged as they are."""


def agreement(driving: np.ndarray, result: np.ndarray, scales: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Measure the agreement of curves in each frame; the mean is Lin's concordance of all frames.

    With x the driving curves and y those of the result, each since its first frame and divided by its scale, the mean
    is ``1 - mean(|x - y|^2) / max(var x + var y + (mean x - mean y)^2, FLOOR)``, sums going over the curves: 1 for
    equal curves, 0 for a still result or one that does not follow, less for the opposite (Lin, Biometrics 1989).

    Args:
        driving: (K, N), NaN where nothing was seen.
        result: (K, N), at the same times.
        scales: of each curve, (K,).
        seen: frames in which both were seen, bool (N,); in the others the agreement is 0.

    Returns:
        (N,), at most 1; all 0 if nothing was seen.
    """
    agreed = np.zeros(len(seen))
    if not seen.any():
        return agreed
    x, y = (curves[:, seen] / scales[:, None] for curves in (driving, result))
    x, y = (curves - curves[:, :1] for curves in (x, y))
    spread = x.var(axis=1) + y.var(axis=1) + (x.mean(axis=1) - y.mean(axis=1)) ** 2
    agreed[seen] = 1 - ((x - y) ** 2).sum(axis=0) / max(float(spread.sum()), FLOOR)
    return agreed


def movement(driving: np.ndarray, scales: np.ndarray, seen: np.ndarray) -> float:
    """Return how much curves (K, N) move, in squared scales; 0 if nothing was seen."""
    return float((driving[:, seen] / scales[:, None]).var(axis=1).sum()) if seen.any() else 0.0
