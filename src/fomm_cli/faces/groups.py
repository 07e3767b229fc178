"""Find every face of a still image, small ones and those at the side of larger ones too.

A detector looks at an image reduced to a few hundred pixels, so it overlooks faces of a group. A second pass looks at
overlapping square tiles of several sizes, and each find has to be confirmed in a closer look at its surroundings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from fomm_cli.faces.face import Face, largest_first, moved, surroundings
from fomm_cli.faces.framing import head_square
from fomm_cli.geometry import Box

Look = Callable[[np.ndarray], list[Face]]
"""Finds the faces in an image, uint8 (H, W, 3)."""

_LEVELS = (1, 2, 3)  # tiles by the shorter side of the image; the search ends at a level that finds nothing new
_MOST_LOOKS = 32  # tiles in all, about two seconds; a level that would take more is left out
_OVERLAP = 0.35  # of neighbouring tiles
_LEAST_TILE = 120  # pixels of a tile's side
_FULL = 0.85  # ratio of the image that heads may cover before there is no room for another
_SAME = 0.3  # of the smaller of two boxes, shared by both, from which they are one face
_CONFIRMED = 0.3  # intersection over union of a find and the closer look at it
_LEAST_FACE = 0.12  # of a tile's side; smaller finds are left to smaller tiles


def find_all(image: np.ndarray, first: list[Face], look: Look) -> list[Face]:
    """Search an image for the faces that a first look has missed.

    Args:
        image: uint8 (H, W, 3).
        first: what the first look has found.
        look: finds faces in a part of the image; it is asked some dozens of times.

    Returns:
        All faces, the largest first.
    """
    faces = list(first)
    if _covered(faces, (image.shape[0], image.shape[1])) > _FULL:
        return largest_first(faces)
    height, width = image.shape[:2]
    looks = 0
    for level in _LEVELS:
        known = len(faces)
        tiles = list(_tiles(height, width, level))
        looks += len(tiles)
        if looks > _MOST_LOOKS:
            break
        for left, top, side in tiles:
            faces += _new_faces(image, Box(left, top, left + side, top + side), faces, look)
        if level > 1 and len(faces) == known:
            break
    return largest_first(faces)


def _new_faces(image: np.ndarray, tile: Box, known: list[Face], look: Look) -> list[Face]:
    """Return the confirmed faces of a tile that are not known yet."""
    if any(head_square(face.box).intersection(tile).area > _FULL * tile.area for face in known):
        return []
    left, top = int(tile.left), int(tile.top)
    new: list[Face] = []
    for found in look(image[top : int(tile.bottom), left : int(tile.right)]):
        face = moved(found, left, top)
        if face.box.height < _LEAST_FACE * tile.height or _is_known(face, known + new):
            continue
        confirmed = confirm(image, face.box, look)
        if confirmed is not None and not _is_known(confirmed, known + new):
            new.append(confirmed)
    return new


def confirm(image: np.ndarray, box: Box, look: Look) -> Face | None:
    """Return the face that a closer look finds at a box; None if it finds none there."""
    part, left, top = surroundings(image, box)
    found = [moved(face, left, top) for face in look(part)]
    best = max(found, key=lambda face: face.box.iou(box), default=None)
    return best if best is not None and best.box.iou(box) >= _CONFIRMED else None


def _is_known(face: Face, faces: list[Face]) -> bool:
    return any(face.box.intersection(other.box).area > _SAME * min(face.box.area, other.box.area) for other in faces)


def _covered(faces: list[Face], shape: tuple[int, int]) -> float:
    """Return how much of an image (height, width) its heads cover, as a ratio."""
    height, width = shape
    mask = np.zeros((32, 32), bool)
    for face in faces:
        head = head_square(face.box).mapped(32 / width, 32 / height)
        mask[
            max(0, round(head.top)) : max(0, round(head.bottom)), max(0, round(head.left)) : max(0, round(head.right))
        ] = True
    return float(mask.mean())


def _tiles(height: int, width: int, level: int) -> Iterator[tuple[int, int, int]]:
    """Yield the left, top and side of overlapping square tiles, of the shorter side divided by `level`."""
    side = min(height, width) // level
    if side < _LEAST_TILE or (level == 1 and max(height, width) < 1.2 * side):
        return
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, side


def _starts(length: int, side: int) -> list[int]:
    count = math.ceil((length - side) / ((1 - _OVERLAP) * side)) + 1
    return [round(place) for place in np.linspace(0, length - side, count)]
