"""Keypoints drawn into pictures."""

from __future__ import annotations

import colorsys

import numpy as np
from skimage.draw import disk


def draw_keypoints(picture: np.ndarray, points: np.ndarray, radius: int) -> np.ndarray:
    """A copy of a picture with a disk on each keypoint, in the colours of the rainbow by index.

    Args:
        picture: uint8 (H, W, 3).
        points: (K, 2), x before y, in [-1, 1].
        radius: of the disks, in pixels.
    """
    drawn = picture.copy()
    extent = np.array(picture.shape[1::-1]) - 1
    for index, (x, y) in enumerate((points + 1) / 2 * extent):
        rows, columns = disk((y, x), radius, shape=picture.shape[:2])  # type: ignore[no-untyped-call]
        drawn[rows, columns] = np.multiply(colorsys.hsv_to_rgb(0.9 * index / len(points), 1, 1), 255)
    return drawn


def side_by_side(pictures: list[np.ndarray], *, border: bool) -> np.ndarray:
    """Pictures of one height in a row, uint8 (H, sum of W, 3), each with a white rim if `border`."""
    row = [picture.copy() for picture in pictures]
    for picture in row if border else ():
        picture[[0, -1]] = 255
        picture[:, [0, -1]] = 255
    return np.concatenate(row, axis=1)
