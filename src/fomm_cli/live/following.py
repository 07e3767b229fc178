"""Follow the face in front of a camera: look now and then, and move a square slowly after it."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from fomm_cli.faces.face import Face, FaceDetector
from fomm_cli.faces.framing import head_square
from fomm_cli.faces.quality import Finding
from fomm_cli.faces.tracking import Follower
from fomm_cli.geometry import Box
from fomm_cli.live.advice import judge_camera

Look = Callable[[np.ndarray, float], tuple[Face | None, list[Finding]]]
"""From a frame, uint8 (H, W, 3), and its time to the face in it, or None, and what `fomm check` says about it."""

_FORGET_AFTER = 2.0  # seconds without a face, after which any face is followed
_LOOK_EVERY = 0.2  # seconds
_BUSY_RATIO = 0.2  # of one thread, which looking may take at most: a slow detector looks less often
_DEAD_ZONE = 0.12  # of the square's side, that the face may move without the square following
_DEAD_SIZE = 1.25  # ratio of sizes up to which the square stays
_ARRIVED = 0.02  # of the side, at which the square stops again
_FOLLOWING_SECONDS = 1.0  # time constant of the square's movement


@dataclass(frozen=True)
class Sighting:
    """The result of one look for the face in a frame.

    Attributes:
        time: of the frame, in seconds.
        shape: (H, W) of the frame.
        face: the face, in pixels of the frame; None where there is none.
        findings: what `fomm check` says about it.
    """

    time: float
    shape: tuple[int, int]
    face: Face | None
    findings: list[Finding]


class FaceWatch:
    """Look for the face in a thread of its own: only in some of the frames, and none of them is held up."""

    def __init__(self, look: Look, forget: Callable[[], None] = lambda: None, *, background: bool = True) -> None:
        """Start without a sighting.

        Args:
            look: called by one thread at a time.
            forget: called when the frames that follow have nothing to do with those before.
            background: False looks at once and lets the frame wait, so that results can be repeated.
        """
        self._look = look
        self._forget = forget
        self._is_stale = False
        self._pool = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) if background else None
        self._running: Future[tuple[Sighting, float]] | None = None
        self._next = -math.inf

    def offer(self, frame: np.ndarray, time: float) -> Sighting | None:
        """Give a frame, uint8 (H, W, 3), to look at if a look is due; returns the last look's result when it is new."""
        finished = self._finished()
        if self._running is None and time >= self._next:
            if self._pool is None:
                finished, _ = self._sight(frame, time)
                self._next = time + _LOOK_EVERY
            else:
                self._running = self._pool.submit(self._sight, frame, time)
        return finished

    def _finished(self) -> Sighting | None:
        if self._running is None or not self._running.done():
            return None
        sighting, seconds = self._running.result()
        self._running = None
        if self._is_stale:
            self._is_stale = False
            return None
        self._next = sighting.time + max(_LOOK_EVERY, seconds / _BUSY_RATIO)
        return sighting

    def _sight(self, frame: np.ndarray, time: float) -> tuple[Sighting, float]:
        began = clock.perf_counter()
        face, findings = self._look(frame, time)
        return Sighting(time, (frame.shape[0], frame.shape[1]), face, findings), clock.perf_counter() - began

    def hurry(self) -> None:
        """Look at the next frame, however short a time ago the last look was."""
        self._next = -math.inf

    def restart(self) -> None:
        """Look at the next frame as at the first one: it shows something else than the frames before."""
        self._is_stale = self._running is not None
        self._forget()
        self.hurry()

    def close(self) -> None:
        """Wait for the look that is running, and end the thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class FaceLook:
    """Find the face that is followed, and judge it as `fomm check` does."""

    def __init__(self, detector: FaceDetector) -> None:
        self._follower = Follower(detector, search_every=0.0)
        self._seen = -math.inf
        self._is_to_forget = False

    def forget(self) -> None:
        """Let any face be followed from the next look on; may be called while another thread looks."""
        self._is_to_forget = True

    def __call__(self, frame: np.ndarray, time: float) -> tuple[Face | None, list[Finding]]:
        """Look at a frame, uint8 (H, W, 3), at a time in seconds."""
        if self._is_to_forget:
            self._is_to_forget = False
            self._follower.forget()
        face = self._follower.look(frame, time)
        if face is None:
            if time - self._seen > _FORGET_AFTER:
                self._follower.forget()
            return None, []
        self._seen = time
        return face, judge_camera(frame, face.box)


class FollowingSquare:
    """The square that the model sees: it rests while the face is near its middle, and follows slowly beyond that."""

    def __init__(self) -> None:
        self._square: Box | None = None
        self._target: Box | None = None
        self._moving = False
        self._time = 0.0

    def reset(self) -> None:
        """Forget the face: the square is the middle of the frame until one is seen, and takes its place at once."""
        self._square = self._target = None
        self._moving = False

    def see(self, face: Box, *, at_once: bool) -> None:
        """Take note of where the face is now.

        Args:
            face: in pixels of the frame.
            at_once: whether the square jumps there, for a face that was not followed before.
        """
        self._target = head_square(face)
        if at_once or self._square is None:
            self._square, self._moving = self._target, False

    def at(self, time: float, shape: tuple[int, int]) -> Box:
        """Return the square at a time in seconds, in pixels of a frame of shape (H, W); times must not decrease."""
        passed, self._time = max(0.0, time - self._time), time
        if self._square is None or self._target is None:
            return _middle(shape)
        distance = _distance(self._square, self._target)
        if not self._moving:
            ratio = self._target.width / self._square.width
            self._moving = distance > _DEAD_ZONE or max(ratio, 1 / ratio) > _DEAD_SIZE
        elif distance < _ARRIVED and abs(self._target.width / self._square.width - 1) < _ARRIVED:
            self._moving = False
        if self._moving:
            self._square = self._square.towards(self._target, 1 - math.exp(-passed / _FOLLOWING_SECONDS))
        return self._square


def _distance(square: Box, other: Box) -> float:
    """Return how far the middles of two squares are apart, in sides of the first."""
    (x, y), (other_x, other_y) = square.centre, other.centre
    return max(abs(x - other_x), abs(y - other_y)) / square.width


def _middle(shape: tuple[int, int]) -> Box:
    side = min(shape)
    left, top = (shape[1] - side) / 2, (shape[0] - side) / 2
    return Box(left, top, left + side, top + side)
