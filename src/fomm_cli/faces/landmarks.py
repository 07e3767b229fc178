"""Name MediaPipe's 478 landmarks. Left and right are those of an image of a person who looks ahead."""

from __future__ import annotations

import numpy as np

LEFT_EYE, RIGHT_EYE = (33, 133), (362, 263)  # left corner, right corner
LEFT_LIDS, RIGHT_LIDS = ((160, 159, 158), (144, 145, 153)), ((385, 386, 387), (380, 374, 373))  # upper, lower
LEFT_IRIS, RIGHT_IRIS = 468, 473
UPPER_LIP, LOWER_LIP = 13, 14  # their inner rims
MOUTH_CORNERS = (61, 291)
CHEEKS = (50, 280)
UNDER_EYES = (230, 450)
EYELIDS = ((33, 160, 159, 158, 133, 153, 145, 144), (362, 385, 386, 387, 263, 373, 374, 380))
"""The outline of each eye, point by point."""
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""Landmarks around the opening of the mouth, in the order of OUTER_LIPS."""
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Landmarks around the face, clockwise from the forehead."""
RIGID = (33, 133, 362, 263, 168, 6, 197, 195, 4, 151, 9, 8, 127, 356, 234, 454)
"""Landmarks that no expression moves: corners of the eyes, bridge of the nose, forehead, temples."""
PROPORTIONS = (
    (33, 263), (133, 362), (127, 356), (172, 397), (48, 278), (168, 2), (10, 168), (33, 133), (362, 263),
)  # fmt: skip
"""Distances that no expression changes: between the eyes, temples, jaws; of nose, forehead and eyes."""

EYE_CORNERS_68 = (36, 39, 42, 45)
INNER_LIPS_68 = (60, 61, 62, 63, 64, 65, 66, 67)
"""Corners of the eyes and inner lips among the 68 landmarks of face-alignment."""


def distance(points: np.ndarray, one: int, other: int) -> np.ndarray:
    """Return the distance of two landmarks in each face, (N, 478, 2) to (N,)."""
    return np.asarray(np.linalg.norm(points[:, one] - points[:, other], axis=-1))


def polygon_area(corners: np.ndarray) -> np.ndarray:
    """Return the areas of polygons (N, K, 2), in squared units, (N,)."""
    x, y = corners[..., 0], corners[..., 1]
    return np.asarray(np.abs((x * np.roll(y, -1, axis=-1) - y * np.roll(x, -1, axis=-1)).sum(axis=-1)) / 2)


def face_size(points: np.ndarray) -> np.ndarray:
    """Return the square root of the area of each face, in pixels, (N, 478, 2) to (N,)."""
    return np.asarray(np.sqrt(polygon_area(points[:, OVAL])))
