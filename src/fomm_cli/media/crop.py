"""Crop regions of images."""

from __future__ import annotations

import numpy as np

from fomm_cli.geometry import Region


def region_of(image: np.ndarray, region: Region) -> np.ndarray:
    """Return the pixels of a region; what lies outside the image is its reflection.

    Args:
        image: (H, W, 3).
        region: may lie partly or wholly outside.

    Returns:
        (height, width, 3); a view where the region lies inside.
    """
    height, width = image.shape[:2]
    if region.left >= 0 and region.top >= 0 and region.right <= width and region.bottom <= height:
        return image[region.top : region.bottom, region.left : region.right]
    rows = _reflected(np.arange(region.top, region.bottom), height)
    columns = _reflected(np.arange(region.left, region.right), width)
    reflected: np.ndarray = image[rows[:, None], columns]
    return reflected


def cropped(image: np.ndarray, region: Region | None) -> np.ndarray:
    """Return the pixels of a region, or the whole image where there is none."""
    return image if region is None else region_of(image, region)


def _reflected(index: np.ndarray, length: int) -> np.ndarray:
    """Reflect indices beyond the ends, as often as it takes; the outermost pixel counts twice."""
    index = index % (2 * length)
    return np.asarray(np.minimum(index, 2 * length - 1 - index))
