"""Transfer the keypoints of camera frames to an avatar, filtered and without jumps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from fomm_cli.animation.best_frame import normalized, pose_distance
from fomm_cli.animation.transfer import MotionTransfer, Smoother
from fomm_cli.keypoints import KeyPoints

ReferenceState = Literal["searching", "held"]

SEARCH_SECONDS = 3.0
GLIDE_SECONDS = 0.5
_REACH, _FASTEST = 0.06, 1.5  # how far keypoints of a face move on average: at once, and in a second
_LONGEST_DOUBT = 1.0  # seconds
_SHORTEST_INTERVAL = 0.001  # seconds between two frames, that a filter of speeds can work with


class Reference:
    """The camera pose that counts as the source's own: among some seconds, the one whose keypoints are nearest."""

    def __init__(self) -> None:
        self.keypoints: KeyPoints | None = None
        self._best: KeyPoints | None = None
        self._distance = math.inf
        self._until: float | None = None
        self._searching = True
        self._wanted = False

    @property
    def state(self) -> ReferenceState:
        """Return whether a nearer pose is still searched for."""
        return "searching" if self._searching else "held"

    def take(self) -> None:
        """Let the next frame be the reference, and hold it."""
        self._wanted = True

    def find(self) -> None:
        """Search again; the present reference holds until the search ends."""
        self._searching, self._until = True, None
        self._best, self._distance = None, math.inf

    def see(self, driving: KeyPoints, source: KeyPoints, time: float) -> bool:
        """Look at a frame; returns whether the reference has changed.

        Args:
            driving: keypoints of the frame, B = 1.
            source: keypoints of the source, B = 1.
            time: of the frame, in seconds.
        """
        if self._wanted:
            self._wanted = self._searching = False
            self.keypoints = driving
            return True
        if not self._searching:
            return False
        if self._until is None:
            self._until = time + SEARCH_SECONDS
        improved = self._consider(driving, source)
        is_first_search = self.keypoints is None or self.keypoints is self._best
        if time >= self._until:
            self._searching = False
        if (improved and is_first_search) or (not self._searching and self.keypoints is not self._best):
            self.keypoints = self._best
            return True
        return False

    def _consider(self, driving: KeyPoints, source: KeyPoints) -> bool:
        pose = normalized(source.value[0].cpu().numpy())
        distance = math.inf if pose is None else pose_distance(pose, driving.value[0].cpu().numpy())
        if self._best is not None and distance >= self._distance:
            return False
        self._best, self._distance = driving, distance
        return True


class Glide:
    """Pass smoothly from one pose to another when what an avatar follows changes."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._offset: Tensor | None = None
        self._began: float | None = None
        self._pending = False

    def begin(self) -> None:
        """Announce that the next pose need not continue the last one."""
        self._pending = True

    def forget(self) -> None:
        """Let the next pose be as it is."""
        self._last = self._offset = None
        self._pending = False

    def __call__(self, pose: KeyPoints, time: float) -> KeyPoints:
        """Return the pose to show at a time in seconds."""
        rows = _rows(pose)
        if self._pending and self._last is not None:
            self._offset, self._began = self._last - rows, time
        self._pending = False
        if self._offset is not None and self._began is not None:
            passed = (time - self._began) / GLIDE_SECONDS
            if passed >= 1:
                self._offset = None
            else:
                rows = rows + self._offset * (1 - passed * passed * (3 - 2 * passed))
        self._last = rows
        return _of_rows(rows, pose)


class Doubt:
    """Notice keypoints that jump further than a face moves, as they do when it leaves the frame between two looks."""

    def __init__(self) -> None:
        self._believed: Tensor | None = None
        self._time = 0.0
        self.since: float | None = None

    def __call__(self, driving: KeyPoints, time: float) -> bool:
        """Return whether keypoints, B = 1, at a time in seconds should wait until a face is seen again."""
        value = driving.value[0]
        interval, self._time = time - self._time, time
        if self._believed is not None and float((value - self._believed).abs().mean()) > _REACH + _FASTEST * interval:
            self.since = time if self.since is None else self.since
            if time - self.since < _LONGEST_DOUBT:
                return True
        self._believed, self.since = value, None
        return False

    def dispel(self) -> None:
        """Believe the next keypoints, whatever they are."""
        self._believed = self.since = None


class LiveMotion:
    """Return the keypoints that an avatar takes for each camera frame."""

    def __init__(self, source: KeyPoints, motion_scale: float = 1.0) -> None:
        """Start at rest, without a reference.

        Args:
            source: keypoints of the avatar's source image, B = 1.
            motion_scale: multiplies the motion since the reference.
        """
        self.reference = Reference()
        self._source = source
        self._motion_scale = motion_scale
        self._glide = Glide()
        self._transfer: MotionTransfer | None = None
        self._smoother: Smoother | None = None
        self._smooth: KeyPoints | None = None
        self._doubt = Doubt()
        self._time = -math.inf
        self._resting = True

    @property
    def motion_scale(self) -> float:
        """Return what the motion since the reference is multiplied by; a change takes effect smoothly."""
        return self._motion_scale

    @motion_scale.setter
    def motion_scale(self, scale: float) -> None:
        if scale != self._motion_scale:
            self._motion_scale = scale
            self._transfer = None
            self._glide.begin()

    def switch(self, source: KeyPoints) -> None:
        """Animate another source, keypoints B = 1, from the next frame on."""
        self._source = source
        self._transfer = None
        self._glide.forget()

    def restart(self) -> None:
        """Forget the person in front of the camera: filter from the next frame on, and search a new reference."""
        self.reference = Reference()
        self._transfer = None
        self._restart_motion()

    @property
    def doubtful_since(self) -> float | None:
        """Time from which the pose is held, since the keypoints jumped as those of no face do; None mostly."""
        return self._doubt.since

    def confirm(self, time: float) -> None:
        """Follow the next keypoints again if they are doubted: a look at the frame of this time has found the face."""
        if self._doubt.since is not None and time >= self._doubt.since:
            self._restart_motion()

    def _restart_motion(self) -> None:
        self._smoother = None
        self._doubt.dispel()
        self._glide.begin()

    def __call__(self, driving: KeyPoints | None, time: float) -> KeyPoints:
        """Return the keypoints to take.

        Args:
            driving: keypoints of the frame, B = 1; None where there is no face: the avatar returns to rest.
            time: of the frame, in seconds; must not decrease.
        """
        if (driving is None) != self._resting:
            self._resting = driving is None
            self._restart_motion()
        pose = self._source if driving is None else self._followed(driving, time)
        self._time = time
        return self._glide(pose, time)

    def _followed(self, driving: KeyPoints, time: float) -> KeyPoints:
        doubted_before = self._doubt.since is not None
        if not self._doubt(driving, time):
            if doubted_before:
                self._restart_motion()
            self._smooth = self._smoothed(driving, time)
            if self.reference.see(self._smooth, self._source, time):
                self._transfer = None
                self._glide.begin()
        assert self._smooth is not None  # noqa: S101 - the first keypoints are never doubted
        if self._transfer is None:
            initial = self.reference.keypoints or self._smooth
            self._transfer = MotionTransfer.between(
                self._source, initial, relative=True, adapt_scale=True, motion_scale=self._motion_scale
            )
        return self._transfer(self._smooth)

    def _smoothed(self, driving: KeyPoints, time: float) -> KeyPoints:
        interval = max(_SHORTEST_INTERVAL, time - self._time)
        before = Smoother(interval) if self._smoother is None else replace(self._smoother, interval=interval)
        smooth, self._smoother = before(driving)
        return smooth


def _rows(points: KeyPoints) -> Tensor:
    """Join values and Jacobians, B = 1, to (K, 2) or (K, 6)."""
    value = points.value[0]
    return value if points.jacobian is None else torch.cat((value, points.jacobian[0].flatten(-2)), -1)


def _of_rows(rows: Tensor, like: KeyPoints) -> KeyPoints:
    jacobian = None if like.jacobian is None else rows[None, :, 2:].reshape(1, -1, 2, 2)
    return KeyPoints(rows[None, :, :2], jacobian)
