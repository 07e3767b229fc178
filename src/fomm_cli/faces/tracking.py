"""Follow faces through a video, frame by frame, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from fomm_cli.faces.face import Face, FaceDetector, moved, surroundings
from fomm_cli.faces.framing import head_square
from fomm_cli.geometry import Box

_SEARCH_EVERY = Fraction(1)  # second; looking everywhere takes much longer than looking where the face was
_LARGEST_CHANGE = 2.0  # of a face's height from one look to the next
_GAP = 5  # frames in which a tracked face may go unseen
_FARTHEST_MOVE = 1.0  # between two looks, in heights of the face


@dataclass(frozen=True)
class FollowedFace:
    """The places of one face in a video.

    Attributes:
        heads: the union of the squares about the head.
        typical: the mean of the face's boxes.
        looks: how often the face was found.
    """

    heads: Box
    typical: Box
    looks: int


def follow_face(
    frames: Iterable[tuple[Fraction, np.ndarray]], detector: FaceDetector, looks_per_second: int
) -> FollowedFace | None:
    """Follow one face, the largest in the first frame with a face.

    Args:
        frames: time in seconds and image, uint8 (H, W, 3), in order of time; read once.
        detector: finds faces.
        looks_per_second: how many frames are looked at.

    Returns:
        None if there is no face in what was looked at.
    """
    followed: FollowedFace | None = None
    follower = Follower(detector, _SEARCH_EVERY)
    for time, image in _looked_at(frames, Fraction(1, looks_per_second)):
        face = follower.look(image, time)
        if face is not None:
            followed = _extended(followed, face.box)
    return followed


class Follower:
    """Find one face again in later frames: near its last place, and at intervals in the whole frame."""

    def __init__(self, detector: FaceDetector, search_every: Fraction | float) -> None:
        """Start without a face; the first one is the largest in its frame.

        Args:
            detector: finds faces.
            search_every: seconds from one search of a whole frame to the next.
        """
        self._detector = detector
        self._search_every = search_every
        self._next_search: Fraction | float = -math.inf
        self._last: Face | None = None

    def look(self, image: np.ndarray, time: Fraction | float) -> Face | None:
        """Find the face in a frame, uint8 (H, W, 3), at a time in seconds; None where it is not seen."""
        face = None if self._last is None else _nearby(image, self._last.box, self._detector)
        if face is None and time >= self._next_search:
            self._next_search = time + self._search_every
            face = _same_or_first(self._detector.detect(image), self._last)
        self._last = face or self._last
        return face

    def forget(self) -> None:
        """Forget the face: the next one may be any."""
        self._last = None


def _looked_at(
    frames: Iterable[tuple[Fraction, np.ndarray]], interval: Fraction
) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Yield one frame of each interval, and the last one, so that a motion is seen to its end."""
    next_look = Fraction(0)
    left_out = None
    for time, image in frames:
        left_out = time, image
        if time >= next_look:
            next_look = time + interval
            left_out = None
            yield time, image
    if left_out is not None:
        yield left_out


def _nearby(image: np.ndarray, box: Box, detector: FaceDetector) -> Face | None:
    part, left, top = surroundings(image, box)
    return _same([moved(face, left, top) for face in detector.detect(part)], box)


def _same_or_first(faces: list[Face], last: Face | None) -> Face | None:
    return next(iter(faces), None) if last is None else _same(faces, last.box)


def _same(faces: list[Face], box: Box) -> Face | None:
    """Return the first face that is near enough to be the one that was at `box`."""
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


@dataclass(frozen=True)
class Track:
    """One face over successive frames.

    Attributes:
        initial: its box in the first frame.
        tube: the union of its boxes.
        first: index of its first frame.
        last: index of its last frame.
        start: time of its first frame, in seconds.
        end: time of its last frame, in seconds.
    """

    initial: Box
    tube: Box
    first: int
    last: int
    start: Fraction
    end: Fraction


class Tracker:
    """Sort the boxes of every frame into tracks, as the original's crop-video.py does.

    A box belongs to the track with whose first box it shares most, if that is enough; a track ends when nothing
    does. Unlike there, a track survives a few frames in which its face is not found.
    """

    def __init__(self, iou_with_initial: float) -> None:
        """Start without tracks.

        Args:
            iou_with_initial: the least intersection over union with a track's first box.
        """
        self._least = iou_with_initial
        self._tracks: list[Track] = []

    def add(self, index: int, time: Fraction, boxes: list[Box]) -> list[Track]:
        """Take the boxes of the next frame; returns the tracks that ended before it."""
        for box in boxes:
            place = self._place_of(box)
            if place is None:
                self._tracks.append(Track(box, box, index, index, time, time))
            else:
                track = self._tracks[place]
                self._tracks[place] = replace(track, tube=track.tube.union(box), last=index, end=time)
        ended = [track for track in self._tracks if index - track.last > _GAP]
        self._tracks = [track for track in self._tracks if track not in ended]
        return ended

    def finish(self) -> list[Track]:
        """Return the tracks that last to the end."""
        ended, self._tracks = self._tracks, []
        return ended

    def _place_of(self, box: Box) -> int | None:
        shares = [track.initial.iou(box) for track in self._tracks]
        best = max(range(len(shares)), key=shares.__getitem__, default=None)
        return best if best is not None and shares[best] > self._least else None
