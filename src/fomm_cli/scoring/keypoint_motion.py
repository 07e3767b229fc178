"""Score subjects without a detectable face by the model's keypoints and by optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.registration import optical_flow_ilk

from fomm_cli.animation.transfer import hull_area
from fomm_cli.scoring.concordance import FLOOR, agreement, movement
from fomm_cli.scoring.rubric import Scores, scores_of

FLOW_SIDE = 64
"""Pixels of the grey images that flow is measured in."""

_SCALE = 0.05  # of the size of the keypoints' hull: a plain movement
_NEAR = 3  # pixels about a keypoint that its flow is the median of
_RADIUS = 7  # pixels of a window in which flow is taken for constant


@dataclass(frozen=True)
class PointTrack:
    """Keypoints of a model, and small grey images, in N frames.

    Attributes:
        times: in seconds, (N,).
        points: keypoints, (N, K, 2), x before y, in [-1, 1].
        images: grey, float32 (N, FLOW_SIDE, FLOW_SIDE) in [0, 1].
    """

    times: np.ndarray
    points: np.ndarray
    images: np.ndarray

    def __getitem__(self, frames: np.ndarray) -> PointTrack:
        """Return some of the frames."""
        return PointTrack(self.times[frames], self.points[frames], self.images[frames])


def score_points(driving: PointTrack, result: PointTrack, reason: str) -> Scores:
    """Score the outline by the movement of the model's keypoints and by the optical flow at them, half each.

    Args:
        driving: the driving video.
        result: the result at the same times.
        reason: why not by landmarks, a sentence.
    """
    notes = [reason, "the outline is judged by the model's keypoints and by optical flow; eyes and mouth are not seen"]
    seen = np.ones(len(driving.times), bool)
    curves = []
    for track in (driving, result):
        size = max(float(np.sqrt(hull_area(track.points[0]))), 1e-3)
        curves.append((_moved(track) / size, _flow(track) / size))
    scales = np.full(len(curves[0][0]), _SCALE * np.sqrt(driving.points.shape[1]))
    if movement(curves[0][0], scales, seen) < FLOOR / 2:
        notes.append("the driving video hardly moves: the score says how still the result is, too")
    halves = [agreement(x, y, scales, seen) for x, y in zip(*curves, strict=True)]
    return scores_of({"outline": np.asarray(np.mean(halves, axis=0))}, "keypoints", 1.0, notes)


def _moved(track: PointTrack) -> np.ndarray:
    """Return how far each keypoint has moved since the first frame, (2K, N), in the units of the points."""
    return np.asarray((track.points - track.points[0]).reshape(len(track.points), -1).T)


def _flow(track: PointTrack) -> np.ndarray:
    """Return how far the image at each keypoint of the first frame has moved since then, in the form of `_moved`."""
    rows = [_flow_at(track.images[0], image, track.points[0]) for image in track.images]
    return np.stack(rows).reshape(len(rows), -1).T


def _flow_at(first: np.ndarray, image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the flow at keypoints (K, 2), x before y, in their units."""
    down, right = optical_flow_ilk(first, image, radius=_RADIUS)  # type: ignore[no-untyped-call]
    found = []
    for x, y in np.clip((points + 1) / 2 * (FLOW_SIDE - 1), 0, FLOW_SIDE - 1).round().astype(int):
        near = np.s_[max(0, y - _NEAR) : y + _NEAR + 1, max(0, x - _NEAR) : x + _NEAR + 1]
        found.append((np.median(right[near]), np.median(down[near])))
    return np.array(found) * 2 / (FLOW_SIDE - 1)
