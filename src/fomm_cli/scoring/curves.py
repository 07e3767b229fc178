"""Compute the curves over time by which two faces are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fomm_cli.faces.landmarks import (
    LEFT_EYE,
    LEFT_IRIS,
    LEFT_LIDS,
    LOWER_LIP,
    MOUTH_CORNERS,
    OVAL,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_LIDS,
    RIGID,
    UPPER_LIP,
    distance,
    face_size,
)
from fomm_cli.scoring.measurements import EXPRESSIONS, FaceTrack

Part = Literal["eyes", "mouth", "outline"]

_CLOSED = 0.12  # height by width of an eye, below which its iris is a guess


@dataclass(frozen=True)
class Channel:
    """A curve.

    Attributes:
        part: of the score that it counts for.
        unit: for axes.
        scale: how much of it is a plain movement: what talking people do, several times what MediaPipe trembles.
    """

    part: Part
    unit: str
    scale: float


CHANNELS: dict[str, Channel] = {
    "lids": Channel("eyes", "height / width of the eyes", 0.05),
    "blink": Channel("eyes", "blendshape, 0 to 1", 0.10),
    "gaze_x": Channel("eyes", "widths of an eye", 0.03),
    "gaze_y": Channel("eyes", "widths of an eye", 0.02),
    "gap": Channel("mouth", "between the lips, face sizes", 0.04),
    "width": Channel("mouth", "of the mouth, face sizes", 0.025),
    "jaw": Channel("mouth", "blendshape, 0 to 1", 0.08),
    "pucker": Channel("mouth", "blendshape, 0 to 1", 0.15),
    "smile": Channel("mouth", "blendshape, 0 to 1", 0.15),
    "inside": Channel("mouth", "teeth and shadow, ‰ of the face", 2.0),
    "yaw": Channel("outline", "degrees", 2.5),
    "pitch": Channel("outline", "degrees", 2.5),
    "roll": Channel("outline", "degrees", 2.0),
    "x": Channel("outline", "face sizes to the right", 0.05),
    "y": Channel("outline", "face sizes down", 0.05),
    "size": Channel("outline", "logarithm", 0.02),
}
MOUTH_MOTION = ("gap", "width", "jaw", "pucker", "smile")


def curves(track: FaceTrack) -> dict[str, np.ndarray]:
    """Compute every channel of `CHANNELS` over the frames, (N,) each; NaN where there is no face."""
    if not track.seen.any():
        return {name: np.full(len(track), np.nan) for name in CHANNELS}
    points = track.landmarks
    sizes = face_size(points)
    shown = dict(zip(EXPRESSIONS, track.expressions.T, strict=True))
    lids = (_lids(points, LEFT_EYE, LEFT_LIDS) + _lids(points, RIGHT_EYE, RIGHT_LIDS)) / 2
    gaze = (_gaze(points, LEFT_EYE, LEFT_IRIS) + _gaze(points, RIGHT_EYE, RIGHT_IRIS)) / 2
    gaze = np.stack([_held(column, lids > _CLOSED) for column in gaze.T])
    place, size = _placed(points)
    return {
        "lids": lids,
        "blink": (shown["eyeBlinkLeft"] + shown["eyeBlinkRight"]) / 2,
        "gaze_x": gaze[0],
        "gaze_y": gaze[1],
        "gap": distance(points, UPPER_LIP, LOWER_LIP) / sizes,
        "width": distance(points, *MOUTH_CORNERS) / sizes,
        "jaw": shown["jawOpen"],
        "pucker": shown["mouthPucker"],
        "smile": (shown["mouthSmileLeft"] + shown["mouthSmileRight"]) / 2,
        "inside": 1000 * track.interiors / sizes**2,
        "yaw": track.poses[:, 0],
        "pitch": track.poses[:, 1],
        "roll": track.poses[:, 2],
        "x": place[:, 0],
        "y": place[:, 1],
        "size": size,
    }


def ovals(track: FaceTrack) -> np.ndarray:
    """Return the outline of the face in each frame, (N, 36, 2), in sizes of the first face from its middle."""
    points = track.landmarks[:, OVAL]
    first = int(np.argmax(track.seen))
    return np.asarray((points - points[first].mean(axis=0)) / face_size(track.landmarks[first : first + 1]))


def _lids(points: np.ndarray, corners: tuple[int, int], lids: tuple[tuple[int, ...], tuple[int, ...]]) -> np.ndarray:
    gaps = [distance(points, upper, lower) for upper, lower in zip(*lids, strict=True)]
    return np.asarray(np.mean(gaps, axis=0) / distance(points, *corners))


def _gaze(points: np.ndarray, corners: tuple[int, int], iris: int) -> np.ndarray:
    """Return the offset of the iris from the middle of the eye, along and across the eye, in its widths, (N, 2)."""
    left, right = (points[:, corner] for corner in corners)
    axis = right - left
    across = np.stack((-axis[:, 1], axis[:, 0]), axis=1)
    offset = points[:, iris] - (left + right) / 2
    square = (axis**2).sum(axis=1)
    return np.asarray(np.stack(((offset * axis).sum(axis=1), (offset * across).sum(axis=1)), axis=1) / square[:, None])


def _held(curve: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Interpolate a curve linearly over unknown values; NaN stays where there is no face."""
    seen = np.isfinite(curve)
    usable = known & seen
    if not usable.any():
        return curve
    frames = np.arange(len(curve))
    return np.asarray(np.where(seen, np.interp(frames, frames[usable], curve[usable]), np.nan))


def _placed(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return place (N, 2) and logarithm of the size (N,) of the rigid landmarks, in sizes of the first face.

    The size is that of the similarity that fits them best to those of the first frame (Umeyama, PAMI 1991).
    """
    first = int(np.argmax(np.isfinite(points[:, 0, 0])))
    plane = points[:, RIGID, 0] + 1j * points[:, RIGID, 1]
    middle = plane.mean(axis=1)
    shape = plane - middle[:, None]
    turned = (shape * shape[first].conj()).sum(axis=1) / (np.abs(shape[first]) ** 2).sum()
    place = (middle - middle[first]) / face_size(points[first : first + 1])
    return np.stack((place.real, place.imag), axis=1), np.log(np.abs(turned))
