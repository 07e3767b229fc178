"""Measure how a face sits in a frame, and find the square that makes it sit as in training data.

Measured on the first frames of 259 people's clips: the face is 0.55 of the frame high (0.42 to 0.72 for 98 %), its
middle at (0.50, 0.54), moving by at most 0.17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fomm_cli.geometry import Box

FACE_HEIGHT = 0.55
CENTRE = (0.50, 0.54)
FACE_ASPECT = 0.85
"""Width by height of a face that looks ahead."""

SMALL = 0.30
"""Ratio of the frame's height, below which the model takes eyes for background and the chin for a lip."""
LARGE = 0.95
"""Ratio of the frame's height, above which a crop would consist of reflections."""
FARTHEST = 0.22
"""Distance from the usual middle of a face, as a ratio of the frame; farther out, the head is cut off."""
DISTORTED = 1.15
"""Width to height, or height to width, from which stretching a frame to a square shows."""
HEAD_MARGIN = 0.1
"""Ratio of a box that the original's crop-video.py adds at each side."""


@dataclass(frozen=True)
class Framing:
    """The size and place of a face in a frame.

    Attributes:
        height: of the face, as a fraction of the frame's.
        x: of its middle, as a fraction of the frame's width.
        y: of its middle, as a fraction of the frame's height.
        distortion: how much wider than high the frame makes the face; 1 where it keeps the proportions.
    """

    height: float
    x: float
    y: float
    distortion: float = 1.0

    @property
    def is_small(self) -> bool:
        """Return whether the face is too small for the model to tell its parts."""
        return self.height < SMALL

    @property
    def is_aside(self) -> bool:
        """Return whether the face is farther from the middle than in training data."""
        return abs(self.x - CENTRE[0]) > FARTHEST or abs(self.y - CENTRE[1]) > FARTHEST

    @property
    def is_distorted(self) -> bool:
        """Return whether the frame stretches the face visibly."""
        return max(self.distortion, 1 / self.distortion) > DISTORTED

    @property
    def is_off(self) -> bool:
        """Return whether a crop would bring the face clearly closer to the training data."""
        return self.height < LARGE and (self.is_small or self.is_aside or self.is_distorted)

    @property
    def why(self) -> str:
        """Return in words how the framing differs from the training data."""
        reasons = [
            (self.is_small, "its face is small"),
            (self.is_aside, "its face is off the middle"),
            (self.is_distorted, "it is not square"),
        ]
        return " and ".join(text for is_so, text in reasons if is_so)


def framing_in(face: Box, frame: Box) -> Framing:
    """Return how a face sits in a frame that is stretched to a square."""
    x, y = face.centre
    return Framing(
        frontal_height(face) / frame.height,
        (x - frame.left) / frame.width,
        (y - frame.top) / frame.height,
        frame.height / frame.width,
    )


def frontal_height(face: Box) -> float:
    """Return the height of a face in pixels as if it looked ahead, though it may be turned or nod."""
    return math.sqrt(face.area / FACE_ASPECT)


def head_square(face: Box) -> Box:
    """Return the square around a head, hair and neck included, that frames the face as in training data."""
    side = frontal_height(face) / FACE_HEIGHT
    x, y = face.centre
    left, top = x - CENTRE[0] * side, y - CENTRE[1] * side
    return Box(left, top, left + side, top + side)


def grown_square(tube: Box, increase: float, frame: Box) -> Box:
    """Return the square around a track, grown as the original's crop-video.py does, moved inside the frame.

    Args:
        tube: the union of a track's boxes.
        increase: what is added at each side at least, as a fraction of the box.
        frame: the image; a square that is larger than it becomes its shorter side.
    """
    side = (1 + 2 * increase) * max(tube.width, tube.height)
    side = min(side, frame.width, frame.height)
    x, y = tube.centre
    left = min(max(frame.left, x - side / 2), frame.right - side)
    top = min(max(frame.top, y - side / 2), frame.bottom - side)
    return Box(left, top, left + side, top + side)


def head_box(face: Box) -> Box:
    """Return the box that becomes the square around the head when it grows by `HEAD_MARGIN` at each side."""
    square = head_square(face)
    margin = square.width * HEAD_MARGIN / (1 + 2 * HEAD_MARGIN)
    return Box(square.left + margin, square.top + margin, square.right - margin, square.bottom - margin)
