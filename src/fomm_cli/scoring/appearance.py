"""Measure whether a result shows the same face as its source, as sharp, and without flicker.

Movement alone changes and blurs a face. The driving video, which is a recording, shows by how much: only changes beyond
that count against a result.
"""

from __future__ import annotations

import numpy as np
from skimage.feature import hog

from fomm_cli.faces.landmarks import PROPORTIONS, distance
from fomm_cli.faces.quality import laplacian
from fomm_cli.scoring.measurements import FaceTrack

ANOTHER_PROPORTIONS = 0.06
"""Median distance of the proportions of two people, less that of two frames of one, over ten clips."""
ANOTHER_LOOK = 0.31
"""The same median for the features of their faces."""
FLICKER = 0.03
"""Change of brightness from frame to frame, back and forth, at which a result is useless; the range is 0 to 1."""


def identity(driving: FaceTrack, result: FaceTrack, source: FaceTrack) -> np.ndarray:
    """Measure how much of the source's face is kept in each frame, (N,), 0 to 1.

    Half for proportions, half for features; each is 1 less the distance from the source in units of that between two
    people, after the distance of the driving face from its own first frame is taken off.
    """
    kept = []
    for measure, scale in ((proportions, ANOTHER_PROPORTIONS), (look, ANOTHER_LOOK)):
        allowed = _distances(measure(driving), measure(driving[:1])[0])
        excess = _distances(measure(result), measure(source)[0]) - allowed
        kept.append(1 - np.clip(excess / scale, 0, 1))
    return np.asarray(np.mean(kept, axis=0))


def _distances(vectors: np.ndarray, origin: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(vectors - origin, axis=1))


def proportions(track: FaceTrack) -> np.ndarray:
    """Return logarithms of distances between rigid landmarks, less their mean, divided by the root of their number."""
    lengths = np.stack([distance(track.landmarks, *ends) for ends in PROPORTIONS], axis=1)
    logs = np.log(np.maximum(lengths, 1e-3))
    return np.asarray((logs - logs.mean(axis=1, keepdims=True)) / np.sqrt(len(PROPORTIONS)))


def look(track: FaceTrack) -> np.ndarray:
    """Compute histograms of oriented gradients (Dalal and Triggs, 2005) of the aligned faces, unit vectors, (N, F)."""
    rows = [
        hog(patch, pixels_per_cell=(16, 16), cells_per_block=(2, 2), feature_vector=True) for patch in track.patches
    ]
    vectors = np.stack(rows)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6))


def sharpness(driving: FaceTrack, result: FaceTrack, source: FaceTrack) -> np.ndarray:
    """Measure the sharpness kept in each frame, (N,), 0 to 1; what the driving video loses too is allowed."""
    kept = _detail(result) / np.maximum(_detail(source), 1e-6)
    allowed = np.minimum(1.0, _detail(driving) / np.maximum(_detail(driving[:1]), 1e-6))
    return np.asarray(np.clip(kept / np.maximum(allowed, 1e-6), 0, 1))


def _detail(track: FaceTrack) -> np.ndarray:
    """Return standard deviation of the Laplacian of the aligned faces, (N,)."""
    return np.asarray(laplacian(_brightness(track)).std(axis=(1, 2)))


def steadiness(driving: FaceTrack, result: FaceTrack) -> np.ndarray:
    """Return 1 minus the flicker that the driving video does not have, (N,), 0 to 1."""
    return np.asarray(1 - np.clip((_flicker(result) - _flicker(driving)) / FLICKER, 0, 1))


def _flicker(track: FaceTrack) -> np.ndarray:
    """Return the root mean squared second difference over time of the aligned faces, (N,); 0 at both ends."""
    flicker = np.zeros(len(track))
    second = np.diff(_brightness(track), n=2, axis=0)
    flicker[1:-1] = np.sqrt((second**2).mean(axis=(1, 2)))
    return flicker


def _brightness(track: FaceTrack) -> np.ndarray:
    return track.patches.astype(np.float32) / 255
