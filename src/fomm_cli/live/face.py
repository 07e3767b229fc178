"""Follow the face in front of the camera, and choose the square of the frame that the model sees."""

from __future__ import annotations

import numpy as np

from fomm_cli.geometry import Box
from fomm_cli.live.following import FaceWatch, FollowingSquare, Sighting

_LOST_AFTER = 1.0  # seconds without a sighting, after which one look without a face is enough


class LiveFace:
    """Follow the face of a session: whether there is one, and where.

    Attributes:
        is_followed: whether there is a face; always, where none is looked for.
    """

    def __init__(self, watch: FaceWatch | None) -> None:
        """Begin without a face.

        Args:
            watch: looks for it; None to take the middle of every frame for one.
        """
        self.is_followed = watch is None
        self._watch = watch
        self._square = FollowingSquare()
        self._shape: tuple[int, int] | None = None
        self._seen = 0.0
        self._missed = 0

    def look(self, frame: np.ndarray, time: float, doubtful_since: float | None) -> Sighting | None:
        """Look for the face where a look is due; returns what a look found, mostly None.

        Args:
            frame: uint8 (H, W, 3) of any size, which may change from frame to frame.
            time: of the frame, in seconds; must not decrease.
            doubtful_since: time from which keypoints say that the face may have gone; None mostly.
        """
        if self._watch is None:
            return None
        shape = (frame.shape[0], frame.shape[1])
        if shape != self._shape:
            self._shape = shape
            self.restart()
        sighting = self._watch.offer(frame, time)
        if doubtful_since is not None:
            self._watch.hurry()
        if sighting is None or sighting.shape != shape:
            return None
        self._note(sighting, is_doubtful=doubtful_since is not None)
        return sighting

    def _note(self, sighting: Sighting, *, is_doubtful: bool) -> None:
        if sighting.face is not None:
            self._square.see(sighting.face.box, at_once=not self.is_followed)
            self.is_followed, self._seen, self._missed = True, sighting.time, 0
            return
        self._missed += 1
        if self._missed > 1 or is_doubtful or sighting.time - self._seen > _LOST_AFTER:
            self.is_followed = False

    def square(self, time: float, shape: tuple[int, int]) -> Box:
        """Return the square that the model sees at a time in seconds, in pixels of a frame of shape (H, W)."""
        return self._square.at(time, shape)

    def restart(self) -> None:
        """Look at the next frame as at the first one: it shows something else than the frames before."""
        self._square.reset()
        if self._watch is not None:
            self.is_followed = False
            self._watch.restart()
