"""Describe frames of a video with the exact times at which they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Moment:
    """When a frame is shown.

    Attributes:
        time: seconds since the first kept frame.
        duration: seconds it is shown for; None where the file does not say.
    """

    time: Fraction
    duration: Fraction | None


@dataclass(frozen=True)
class Frame(Moment):
    """A frame and when it is shown.

    Attributes:
        image: uint8 (H, W, 3) RGB, upright; H and W may change in the middle of a video.
    """

    image: np.ndarray
