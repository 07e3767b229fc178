"""Measure the difference between two images in decibels."""

from __future__ import annotations

import math

BEST_PSNR = 100.0
"""dB of equal images, whose ratio has no bound."""


def psnr(squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in dB, at most `BEST_PSNR`.

    Args:
        squared_error: mean of the squared differences of values in [0, 1].
    """
    return min(BEST_PSNR, -10 * math.log10(squared_error)) if squared_error > 0 else BEST_PSNR
