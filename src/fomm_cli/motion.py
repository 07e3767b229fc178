"""Key-point transfer: from the motion of the driving video to the motion of the source."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from fomm_cli.keypoints import KeyPoints, inverse_2x2

logger = logging.getLogger(__name__)


def hull_area(points: np.ndarray) -> float:
    """Area of the convex hull of 2-D points.

    Args:
        points: shape (K, 2).

    Returns:
        The area in squared units of the points; 0.0 where there is no hull (collinear, too few or non-finite points).
    """
    try:
        return float(ConvexHull(points).volume)  # scipy's name for the area in two dimensions
    except (QhullError, ValueError):
        return 0.0


def movement_scale(source: KeyPoints, initial: KeyPoints) -> float:
    """Ratio of the sizes of the source's and the driving video's key points (*adapt scale*).

    Args:
        source: key points of the source, B = 1.
        initial: key points of the initial driving frame, B = 1.

    Returns:
        The square root of the ratio of the hull areas; 1.0, with a warning, where a hull has no area.
    """
    areas = [hull_area(points.value[0].detach().double().cpu().numpy()) for points in (source, initial)]
    if min(areas) < 1e-8:
        logger.warning("the key points lie on one line, so the motion is transferred without adapting its scale")
        return 1.0
    return math.sqrt(areas[0]) / math.sqrt(areas[1])


@dataclass(frozen=True)
class MotionTransfer:
    """Applies driving motion to the source's key points (section 3.3 of the paper; eq. 12).

    Absolute: the driving key points themselves. Relative: the motion since the initial driving frame, applied to
    the source's own key points. Everything that stays the same for a whole video is computed once, in `between`.
    """

    source: KeyPoints
    initial: KeyPoints
    initial_jacobian_inverse: Tensor | None
    relative: bool
    scale: float

    @classmethod
    def between(cls, source: KeyPoints, initial: KeyPoints, *, relative: bool, adapt_scale: bool) -> MotionTransfer:
        """Prepare the transfer from a driving video to a source.

        Args:
            source: key points of the source, B = 1.
            initial: key points of the driving frame whose pose corresponds to the source's, B = 1.
            relative: transfer the motion since `initial` rather than the driving pose itself.
            adapt_scale: scale relative motion by the ratio of the convex hulls.
        """
        inverse = None
        if relative and initial.jacobian is not None:
            inverse, singular = inverse_2x2(initial.jacobian)
            if singular.any():
                logger.warning(
                    "%d of the key points of the initial driving frame have no usable Jacobian; "
                    "their rotation and scale are not transferred",
                    int(singular.sum()),
                )
        scale = movement_scale(source, initial) if relative and adapt_scale else 1.0
        return cls(source, initial, inverse, relative, scale)

    def __call__(self, driving: KeyPoints) -> KeyPoints:
        """Transfer a batch of driving frames; returns the key points the source is to take, B as in `driving`."""
        if not self.relative:
            return driving
        value = (driving.value - self.initial.value) * self.scale + self.source.value
        if driving.jacobian is None or self.initial_jacobian_inverse is None or self.source.jacobian is None:
            return KeyPoints(value)
        return KeyPoints(value, driving.jacobian @ self.initial_jacobian_inverse @ self.source.jacobian)
