"""Find the driving frame whose pose is most like the source's (`--find_best_frame`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from fomm_cli.animation.transfer import hull_area
from fomm_cli.faces.face import FaceDetector

PointDetector = Callable[[np.ndarray], np.ndarray | None]
"""From an image, uint8 (H, W, 3), to points (N, 2) in it, x before y; None where there are none."""


def landmark_detector(detector: FaceDetector) -> PointDetector:
    """Make a detector of the landmarks of the largest face."""

    def detect(image: np.ndarray) -> np.ndarray | None:
        faces = detector.detect(image)
        return faces[0].landmarks if faces else None

    return detect


def normalized(points: np.ndarray) -> np.ndarray | None:
    """Centre points (N, 2) on their mean and divide them by the root of their hull's area; None without a hull."""
    centred = points[:, :2] - points[:, :2].mean(axis=0, keepdims=True)
    area = hull_area(centred)
    return centred / math.sqrt(area) if area > 0 else None


def find_best_frame(source: np.ndarray | None, frames: Iterable[np.ndarray | None]) -> int | None:
    """Return the index of the frame whose points lie closest to the source's, by squared normalised distance.

    Args:
        source: points (N, 2 or more) of the source; None where none were found.
        frames: the same points in each frame; read once.

    Returns:
        None if there are points in no frame, or not in the source. Frames without are skipped.
    """
    reference = None if source is None else normalized(source)
    if reference is None:
        return None
    best, shortest = None, math.inf
    for index, points in enumerate(frames):
        distance = pose_distance(reference, points)
        if distance < shortest:
            best, shortest = index, distance
    return best


def pose_distance(reference: np.ndarray, points: np.ndarray | None) -> float:
    """Return the squared distance of two poses after normalisation.

    Args:
        reference: points (N, 2) of the one, as `normalized` gives them.
        points: points (N, 2 or more) of the other.

    Returns:
        Infinity where there are no points, or they have no hull.
    """
    candidate = None if points is None else normalized(points)
    return math.inf if candidate is None else float(np.square(reference - candidate).sum())
