"""Draw keypoints into images."""

from __future__ import annotations

import colorsys

import numpy as np


def draw_keypoints(image: np.ndarray, points: np.ndarray, radius: int) -> np.ndarray:
    """Draw a disk on each keypoint in a copy of an image, in the colours of the rainbow by index.

    Args:
        image: uint8 (H, W, 3).
        points: (K, 2), x before y, in [-1, 1].
        radius: of the disks, in pixels.
    """
    from skimage.draw import disk

    drawn = image.copy()
    extent = np.array(image.shape[1::-1]) - 1
    for index, (x, y) in enumerate((points + 1) / 2 * extent):
        rows, columns = disk((y, x), radius, shape=image.shape[:2])  # type: ignore[no-untyped-call]
        drawn[rows, columns] = np.multiply(colorsys.hsv_to_rgb(0.9 * index / len(points), 1, 1), 255)
    return drawn


def side_by_side(images: list[np.ndarray], *, border: bool) -> np.ndarray:
    """Join images of one height in a row, uint8 (H, sum of W, 3), each with a white rim if `border`."""
    row = [image.copy() for image in images]
    for image in row if border else ():
        image[[0, -1]] = 255
        image[:, [0, -1]] = 255
    return np.concatenate(row, axis=1)
