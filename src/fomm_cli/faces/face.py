"""Describe faces and face detectors, with helpers on boxes and crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fomm_cli.geometry import Box


@dataclass(frozen=True)
class Pose:
    """The angles of a head in degrees; all 0 facing the camera.

    Attributes:
        yaw: to the right of the image.
        pitch: down.
        roll: clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Face:
    """A face in an image.

    Attributes:
        box: from the hairline to the chin, from temple to temple, in pixels.
        landmarks: (N, 2), x before y, in pixels; N is 478 (MediaPipe) or 68 (face-alignment); None where the
            source knows boxes only.
        blendshapes: strength of 52 expressions, 0 to 1, by MediaPipe's names; None where the source has none.
        pose: of the head; None where the source does not tell.
    """

    box: Box
    landmarks: np.ndarray | None = None
    blendshapes: dict[str, float] | None = None
    pose: Pose | None = None


class FaceDetector(Protocol):
    """Find the faces in an image.

    Attributes:
        name: of the detector, as `--face_backend` spells it.
    """

    name: str

    def detect(self, image: np.ndarray) -> list[Face]:
        """Find the faces in an image, uint8 (H, W, 3) RGB of any size, the largest first."""
        ...

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """Find every face of a still image, those of a group too; takes longer than `detect`."""
        ...

    def close(self) -> None:
        """Release the resources; the detector cannot be used afterwards."""
        ...


def largest_first(faces: list[Face]) -> list[Face]:
    """Sort faces by the area of their boxes, the largest first."""
    return sorted(faces, key=lambda face: face.box.area, reverse=True)


def surroundings(image: np.ndarray, box: Box) -> tuple[np.ndarray, int, int]:
    """Cut out the part of an image around a face, to look at it more closely.

    Args:
        image: (H, W, 3).
        box: of the face, in pixels.

    Returns:
        A view of the image three faces wide and high, cut at its borders, and the column and row it begins at.
    """
    half = 1.5 * max(box.width, box.height)
    x, y = box.centre
    left, top = max(0, int(x - half)), max(0, int(y - half))
    return image[top : max(top + 1, int(y + half)), left : max(left + 1, int(x + half))], left, top


def moved(face: Face, x: float, y: float) -> Face:
    """Return a face of a cut-out in the coordinates of the whole image, which begins (x, y) pixels earlier."""
    points = None if face.landmarks is None else face.landmarks + np.array((x, y))
    return Face(face.box.mapped(1, 1, x, y), points, face.blendshapes, face.pose)
