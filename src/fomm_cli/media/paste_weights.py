"""Divide an image between the animated faces that are pasted into it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fomm_cli.geometry import Box, Region

_HEAD = (1.25, 1.35)  # width and height of a head, with its hair, by those of its face
_RIM = (0.95, 1.35)  # of the head's ellipse, between which it fades
_BORDER = 0.5  # of a head's radius, over which two neighbours blend halfway between them


def paste_weight(
    region: Region, shape: tuple[int, ...], face: Box, behind: Sequence[Box], still: Sequence[Box]
) -> np.ndarray:
    """Return how much of an animated face may show at each pixel of its region without hiding its neighbours.

    A region holds parts of other heads, which stand still there. Faces are pasted one over the other, those behind
    first: a face keeps its own head, and halfway to a head behind it gives way to that.

    Args:
        region: what was animated.
        shape: (H, W, ...) of the image; pixels of the region outside of it are left out.
        face: the animated face.
        behind: faces that are animated and pasted before.
        still: faces that are not animated.

    Returns:
        float32 (h, w) in [0, 1].
    """
    rows = np.arange(max(0, region.top), min(shape[0], region.bottom), dtype=np.float32)[:, None]
    columns = np.arange(max(0, region.left), min(shape[1], region.right), dtype=np.float32)
    own = _radius(face, rows, columns)
    weight = np.ones_like(own)
    for box in behind:
        weight *= _fade((_radius(box, rows, columns) - own) / _BORDER + 0.5)
    for box in still:
        weight *= 1 - _head(_radius(box, rows, columns))
    return np.asarray(np.maximum(weight, _head(own)))


def _radius(face: Box, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the distance from the middle of a face, 1 at the outline of its head."""
    x, y = face.centre
    across, down = (columns + 0.5 - x) / (_HEAD[0] * face.width / 2), (rows + 0.5 - y) / (_HEAD[1] * face.height / 2)
    return np.asarray(np.hypot(across, down), np.float32)


def _head(radius: np.ndarray) -> np.ndarray:
    """Return 1 in a head, 0 outside."""
    inner, outer = _RIM
    return _fade((outer - radius) / (outer - inner))


def _fade(share: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 without corners."""
    share = share.clip(0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
