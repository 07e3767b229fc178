"""Finding the driving frame whose pose is most like the source's (`--find_best_frame`)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from fomm_cli.motion import hull_area

logger = logging.getLogger(__name__)

Detector = Callable[[np.ndarray], np.ndarray | None]


def normalized(points: np.ndarray) -> np.ndarray | None:
    """Points (N, 2) about their mean, in units of the square root of their hull's area; None without a hull."""
    centred = points[:, :2] - points[:, :2].mean(axis=0, keepdims=True)
    area = hull_area(centred)
    return centred / math.sqrt(area) if area > 0 else None


def find_best_frame(source: np.ndarray, frames: Iterable[np.ndarray], detect: Detector) -> int | None:
    """Index of the frame whose points lie closest to the source's, by squared distance after normalisation.

    Args:
        source: uint8 (H, W, 3).
        frames: uint8 (H, W, 3) each; read once.
        detect: gives the points (N, 2 or more) of a picture, or None where it finds none.

    Returns:
        None if the points are found in no frame, or not in the source. Frames without are skipped.
    """
    reference = _points(source, detect)
    if reference is None:
        return None
    best, shortest = None, math.inf
    for index, distance in enumerate(_distances(reference, frames, detect)):
        if distance < shortest:
            best, shortest = index, distance
    return best


def _distances(reference: np.ndarray, frames: Iterable[np.ndarray], detect: Detector) -> Iterator[float]:
    for frame in frames:
        points = _points(frame, detect)
        yield math.inf if points is None else float(np.square(reference - points).sum())


def _points(picture: np.ndarray, detect: Detector) -> np.ndarray | None:
    points = detect(picture)
    return None if points is None else normalized(points)
