"""Following faces through a video, frame by frame, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fomm_cli.faces.finder import Face, FaceFinder, moved, surroundings
from fomm_cli.faces.framing import head_square
from fomm_cli.geometry import Box

_SEARCH_EVERY = Fraction(1)  # second; looking everywhere takes much longer than looking where the face was
_LARGEST_CHANGE = 2.0  # of a face's height from one look to the next
_FARTHEST_MOVE = 1.0  # between two looks, in heights of the face


@dataclass(frozen=True)
class FollowedFace:
    """Where one face was in a video.

    Attributes:
        heads: the union of the squares about the head.
        typical: the mean of the face's boxes.
        looks: how often the face was found.
    """

    heads: Box
    typical: Box
    looks: int


def follow_face(
    frames: Iterable[tuple[Fraction, np.ndarray]], finder: FaceFinder, looks_per_second: int
) -> FollowedFace | None:
    """Follow the face that is largest where there is one first.

    Args:
        frames: time in seconds and picture, uint8 (H, W, 3), in order of time; read once.
        finder: finds faces.
        looks_per_second: how many frames are looked at.

    Returns:
        None if there is no face in what was looked at.
    """
    followed: FollowedFace | None = None
    last: Face | None = None
    next_look = next_search = Fraction(0)
    for time, picture in frames:
        if time < next_look:
            continue
        next_look = time + Fraction(1, looks_per_second)
        face = None if last is None else _nearby(picture, last.box, finder)
        if face is None and time >= next_search:
            next_search = time + _SEARCH_EVERY
            face = _same_or_first(finder.find(picture), last)
        if face is not None:
            last = face
            followed = _extended(followed, face.box)
    return followed


def _nearby(picture: np.ndarray, box: Box, finder: FaceFinder) -> Face | None:
    part, left, top = surroundings(picture, box)
    return _same([moved(face, left, top) for face in finder.find(part)], box)


def _same_or_first(faces: list[Face], last: Face | None) -> Face | None:
    return next(iter(faces), None) if last is None else _same(faces, last.box)


def _same(faces: list[Face], box: Box) -> Face | None:
    """The face that `box` may have become."""
    return next((face for face in faces if _is_near(face.box, box)), None)


def _is_near(box: Box, other: Box) -> bool:
    (x, y), (other_x, other_y) = box.centre, other.centre
    distance = max(abs(x - other_x), abs(y - other_y)) / other.height
    return distance <= _FARTHEST_MOVE and 1 / _LARGEST_CHANGE <= box.height / other.height <= _LARGEST_CHANGE


def _extended(followed: FollowedFace | None, box: Box) -> FollowedFace:
    square = head_square(box)
    if followed is None:
        return FollowedFace(square, box, 1)
    looks = followed.looks + 1
    return FollowedFace(followed.heads.union(square), followed.typical.towards(box, 1 / looks), looks)
