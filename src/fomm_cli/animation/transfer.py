"""Transfer the motion of the driving keypoints to those of the source."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fomm_cli.keypoints import KeyPoints, inverse_2x2

logger = logging.getLogger(__name__)


def hull_area(points: np.ndarray) -> float:
    """Return the area of the convex hull of 2-D points.

    Args:
        points: shape (K, 2).

    Returns:
        The area in squared units of the points; 0.0 where there is no hull (collinear, too few or non-finite points).
    """
    if not np.isfinite(points).all():
        return 0.0
    ordered = sorted(map(tuple, points.tolist()))
    corners = np.array([*_turning_left(ordered), *_turning_left(ordered[::-1])]).reshape(-1, 2)
    (x, y), (next_x, next_y) = corners.T, np.roll(corners, -1, axis=0).T
    return float(abs((x * next_y - next_x * y).sum()) / 2)


def _turning_left(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return one side of the convex hull of ordered points, without the last (Andrew's monotone chain)."""
    side: list[tuple[float, ...]] = []
    for point in points:
        while len(side) > 1 and _turn(side[-2], side[-1], point) <= 0:
            side.pop()
        side.append(point)
    return side[:-1]


def _turn(first: tuple[float, ...], second: tuple[float, ...], third: tuple[float, ...]) -> float:
    """Return a positive number where three points turn left, a negative one where they turn right."""
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (third[0] - first[0])


def movement_scale(source: KeyPoints, initial: KeyPoints) -> float:
    """Return the ratio of the sizes of the source's and the driving video's keypoints (*adapt scale*).

    Args:
        source: keypoints of the source, B = 1.
        initial: keypoints of the initial driving frame, B = 1.

    Returns:
        The square root of the ratio of the hull areas; 1.0, with a warning, where a hull has no area.
    """
    areas = [hull_area(points.value[0].detach().double().cpu().numpy()) for points in (source, initial)]
    if min(areas) < 1e-8:
        logger.warning("the keypoints lie on one line, so the motion is transferred without adapting its scale")
        return 1.0
    return math.sqrt(areas[0]) / math.sqrt(areas[1])


@dataclass(frozen=True)
class MotionTransfer:
    """Apply driving motion to the source's keypoints (section 3.3 of the paper; eq. 12).

    Absolute: the driving keypoints themselves. Relative: the motion since the initial driving frame, applied to
    the source's own keypoints. Everything that stays the same for a whole video is computed once, in `between`.
    """

    source: KeyPoints
    initial: KeyPoints
    initial_jacobian_inverse: Tensor | None
    relative: bool
    scale: float
    motion_scale: float = 1.0

    @classmethod
    def between(
        cls, source: KeyPoints, initial: KeyPoints, *, relative: bool, adapt_scale: bool, motion_scale: float = 1.0
    ) -> MotionTransfer:
        """Prepare the transfer from a driving video to a source.

        Args:
            source: keypoints of the source, B = 1.
            initial: keypoints of the driving frame whose pose corresponds to the source's, B = 1.
            relative: transfer the motion since `initial` rather than the driving pose itself.
            adapt_scale: scale relative motion by the ratio of the convex hulls.
            motion_scale: multiplies relative motion, Jacobians included; 1 leaves it as it is, 0 takes it away.
        """
        inverse = None
        if relative and initial.jacobian is not None:
            inverse, singular = inverse_2x2(initial.jacobian)
            if singular.any():
                logger.warning(
                    "%d of the keypoints of the initial driving frame have no usable Jacobian; "
                    "their rotation and scale are not transferred",
                    int(singular.sum()),
                )
        scale = movement_scale(source, initial) if relative and adapt_scale else 1.0
        return cls(source, initial, inverse, relative, scale * motion_scale, motion_scale)

    def __call__(self, driving: KeyPoints) -> KeyPoints:
        """Transfer a batch of driving frames; returns the keypoints the source is to take, B as in `driving`."""
        if not self.relative:
            return driving
        value = (driving.value - self.initial.value) * self.scale + self.source.value
        if driving.jacobian is None or self.initial_jacobian_inverse is None or self.source.jacobian is None:
            return KeyPoints(value)
        change = driving.jacobian @ self.initial_jacobian_inverse
        if self.motion_scale != 1:
            change = torch.lerp(torch.eye(2, dtype=change.dtype, device=change.device), change, self.motion_scale)
        return KeyPoints(value, change @ self.source.jacobian)


_STILL_CUTOFF = 1.5  # Hz; slower changes than this pass even where nothing moves
_CUTOFF_PER_SPEED = 15.0  # Hz for each unit a second, so that fast motion is not held back
_SPEED_CUTOFF = 1.0  # Hz, for the estimate of the speed


@dataclass(frozen=True)
class Smoother:
    """Smooth the keypoints and Jacobians of successive frames by a one-euro filter (Casiez et al., CHI 2012).

    Calling it gives the smoothed keypoints and the smoother for the frames that follow; it does not change itself.
    """

    interval: float
    """Seconds from frame to frame."""
    last: Tensor | None = None
    speed: Tensor | None = None

    def __call__(self, points: KeyPoints) -> tuple[KeyPoints, Smoother]:
        """Smooth the keypoints of a batch of successive frames."""
        count = points.value.shape[1]
        rows = points.value if points.jacobian is None else torch.cat((points.value, points.jacobian.flatten(-2)), -1)
        smooth, following = [], self
        for row in rows:  # (K, 2) or (K, 6)
            following = following._after(row)
            smooth.append(row if following.last is None else following.last)
        done = torch.stack(smooth)
        jacobian = None if points.jacobian is None else done[..., 2:].reshape(-1, count, 2, 2)
        return KeyPoints(done[..., :2], jacobian), following

    def _after(self, row: Tensor) -> Smoother:
        if self.last is None or self.speed is None:
            return Smoother(self.interval, row, torch.zeros_like(row))
        speed = torch.lerp(self.speed, (row - self.last) / self.interval, self._share(torch.tensor(_SPEED_CUTOFF)))
        share = self._share(_STILL_CUTOFF + _CUTOFF_PER_SPEED * speed.abs())
        return Smoother(self.interval, torch.lerp(self.last, row, share), speed)

    def _share(self, cutoff: Tensor) -> Tensor:
        """Return how much of a new value passes a low-pass filter with this cutoff frequency in Hz."""
        return 1 / (1 + 1 / (2 * math.pi * cutoff * self.interval))
