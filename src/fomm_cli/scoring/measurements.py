"""Measure one face in every frame of a video: landmarks, expression, pose, and properties of the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from PIL import Image
from skimage.draw import polygon

from fomm_cli.faces.face import Face, FaceDetector
from fomm_cli.faces.landmarks import CHEEKS, INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE

PATCH = 96
"""Side of the aligned image of a face, in pixels."""
EXPRESSIONS = (
    "eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthPucker", "mouthSmileLeft", "mouthSmileRight",
)  # fmt: skip
"""MediaPipe's blendshapes that are kept."""

_EYES_IN_PATCH = ((0.32, 0.36), (0.68, 0.36))  # of its side
_UNLIKE_SKIN = 0.22  # distance of a colour from that of skin and lips, in units of the brightness of the skin
_PATIENCE = 3  # frames without a face, after which only some frames are searched
_SEARCHED = 10  # one frame in ten: a search without success takes ten times as long
_LANDMARKS = 478
_CHEEK = 2  # pixels about a landmark


@dataclass(frozen=True)
class FaceTrack:
    """Measurements of one face in N frames; NaN where it was not seen.

    Attributes:
        times: in seconds, (N,).
        landmarks: in pixels, (N, 478, 2), x before y.
        expressions: strength of `EXPRESSIONS`, 0 to 1, (N, 6).
        poses: yaw, pitch and roll in degrees, (N, 3).
        interiors: pixels between the lips that look like neither skin nor lips, (N,).
        patches: the face with its eyes in fixed places, grey, uint8 (N, PATCH, PATCH); 0 where there is no face.
    """

    times: np.ndarray
    landmarks: np.ndarray
    expressions: np.ndarray
    poses: np.ndarray
    interiors: np.ndarray
    patches: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    @property
    def seen(self) -> np.ndarray:
        """Return whether the face was found in a frame, bool (N,)."""
        return np.asarray(np.isfinite(self.landmarks[:, 0, 0]))

    def __getitem__(self, frames: slice | np.ndarray) -> FaceTrack:
        """Return some of the frames."""
        return FaceTrack(*(getattr(self, field.name)[frames] for field in fields(self)))


def track_face(frames: Iterable[tuple[float, np.ndarray]], detector: FaceDetector) -> FaceTrack:
    """Follow one face, the largest in the first frame with a face.

    While it is missing, only some of the frames are searched for it, and the others count as without a face.

    Args:
        frames: time in seconds and image, uint8 (H, W, 3).
        detector: one that knows 478 landmarks, expressions and poses.
    """
    rows = []
    last: Face | None = None
    missed = 0
    for index, (time, image) in enumerate(frames):
        is_searched = missed < _PATIENCE or index % _SEARCHED == 0
        face = _same(detector.detect(image), last) if is_searched else None
        last = face or last
        missed = 0 if face else missed + 1
        rows.append((time, *_measures(image, face)))
    columns = list(zip(*rows, strict=True))
    return FaceTrack(*(np.asarray(column) for column in columns))


def still_face(image: np.ndarray, detector: FaceDetector, size: float) -> FaceTrack:
    """Measure the largest face of an image, uint8 (H, W, 3), as a track of one frame.

    Args:
        image: of any size.
        detector: as in `track_face`.
        size: height in pixels that a larger face is reduced to, for comparable sharpness.
    """
    faces = detector.detect(image)
    shrink = min(1.0, size / faces[0].box.height) if faces else 1.0
    if shrink < 1:
        width, height = (max(1, round(side * shrink)) for side in image.shape[1::-1])
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
    return track_face([(0.0, image)], detector)


def _same(faces: list[Face], last: Face | None) -> Face | None:
    """Return the face that overlaps the one of the last frame most; the largest where none does."""
    if last is None or not faces:
        return next(iter(faces), None)
    return max(faces, key=lambda face: face.box.iou(last.box))


def _measures(image: np.ndarray, face: Face | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]:
    if face is None or face.landmarks is None or face.blendshapes is None or face.pose is None:
        nothing = np.nan
        return (
            np.full((_LANDMARKS, 2), nothing),
            np.full(len(EXPRESSIONS), nothing),
            np.full(3, nothing),
            nothing,
            np.zeros((PATCH, PATCH), np.uint8),
        )
    points = face.landmarks
    return (
        points,
        np.array([face.blendshapes[name] for name in EXPRESSIONS]),
        np.array([face.pose.yaw, face.pose.pitch, face.pose.roll]),
        interior(image, points),
        aligned(image, points),
    )


def interior(image: np.ndarray, points: np.ndarray) -> float:
    """Count the pixels between the lips that show teeth or shadow: colours unlike those of skin and lips.

    Args:
        image: uint8 (H, W, 3).
        points: landmarks (478, 2).
    """
    inner = points[list(INNER_LIPS)]
    rows, columns = polygon(inner[:, 1], inner[:, 0], image.shape[:2])  # type: ignore[no-untyped-call]
    if len(rows) == 0:
        return 0.0
    skin = np.median([_colour(image, points[index]) for index in CHEEKS], axis=0)
    lips = np.median([_colour(image, point) for point in (points[list(OUTER_LIPS)] + inner) / 2], axis=0)
    inside = image[rows, columns].astype(float)
    apart = np.minimum(*(np.linalg.norm(inside - colour, axis=1) for colour in (skin, lips)))
    return float(np.count_nonzero(apart > _UNLIKE_SKIN * max(30.0, float(np.linalg.norm(skin)))))


def _colour(image: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the median colour (3,) of the pixels around a point, which may lie outside."""
    column, row = (int(np.clip(value, 0, side - 1)) for value, side in zip(point, image.shape[1::-1], strict=True))
    near = image[max(0, row - _CHEEK) : row + _CHEEK + 1, max(0, column - _CHEEK) : column + _CHEEK + 1]
    return np.asarray(np.median(near.reshape(-1, 3), axis=0))


def aligned(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Align a face: turned upright, eyes in fixed places, grey, uint8 (PATCH, PATCH)."""
    left, right = (points[list(eye)].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE))
    (x0, y0), (x1, _) = (np.array(place) * PATCH for place in _EYES_IN_PATCH)
    along = (right - left) / (x1 - x0)  # what one pixel of the patch to the right is in the image
    (a, d), (b, e) = along, (-along[1], along[0])
    corner = left - x0 * along - y0 * np.array((b, e))
    grey = Image.fromarray(image).convert("L")
    affine = (a, b, corner[0], d, e, corner[1])
    turned = grey.transform((PATCH, PATCH), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    return np.asarray(turned)
