"""Animate single camera frames, one by one, without a camera or a window of its own."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.autocrop import is_about_faces
from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.options import DetectorName
from fomm_cli.geometry import Box, Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.live.advice import Advice
from fomm_cli.live.avatars import Avatar, AvatarEncoder, Avatars
from fomm_cli.live.face import LiveFace
from fomm_cli.live.following import FaceLook, FaceWatch
from fomm_cli.live.motion import LiveMotion, ReferenceState
from fomm_cli.live.options import LiveJob
from fomm_cli.media.crop import region_of
from fomm_cli.media.resize import fit_frame
from fomm_cli.runtime.device import prepare_process

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Followed:
    """A camera frame, and what was found in it before the avatar is decoded.

    Attributes:
        camera: what the model saw of the camera frame, uint8 (height, width, 3) RGB.
        crop: the square of the camera frame that this is, in its pixels, mirrored where that is asked for.
        face: whether a face is followed; without one the avatar returns to rest.
        reference: whether the reference is still searched for.
        avatar: index of the avatar that is shown.
        warnings: what should be better, each said once in a session.
        milliseconds: how long each stage took: ``detect`` and ``other``, and ``decode`` once it is decoded.
    """

    camera: np.ndarray
    crop: Region
    face: bool
    reference: ReferenceState
    avatar: int
    warnings: tuple[str, ...]
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class LiveFrame(Followed):
    """An animated frame.

    Attributes:
        image: uint8 (H, W, 3) RGB.
    """

    image: np.ndarray


@dataclass(frozen=True)
class Pose:
    """The pose that an avatar is to take, ready to be decoded.

    Attributes:
        keypoints: B = 1.
        source: the avatar.
        followed: the camera frame that it comes from.
    """

    keypoints: KeyPoints
    source: Avatar
    followed: Followed


class LiveSession:
    """Animate avatars by single camera frames, one after the other; all methods are called from one thread.

    Example:
        >>> with LiveSession.open([Path("me.jpg")]) as session:  # doctest: +SKIP
        ...     frame = session.process(camera_frame, time.monotonic())
        ...     show(frame.image)

    Attributes:
        mirror: whether camera frames are mirrored first.
    """

    def __init__(self, animator: Animator, avatars: Avatars, watch: FaceWatch | None) -> None:
        """Begin at rest; `open` builds all that is needed.

        Args:
            animator: the model.
            avatars: encoded by it.
            watch: looks for the face; None to take the middle of every frame for one.
        """
        self.avatars = avatars
        self.mirror = False
        self._animator = animator
        self._face = LiveFace(watch)
        self._motion = LiveMotion(avatars.current.keypoints)
        self._advice = Advice()
        self._closing = ExitStack()

    @classmethod
    def open(cls, avatars: Sequence[Path], job: LiveJob | None = None) -> LiveSession:
        """Load a model and encode the first avatar; the others are encoded in the background.

        Args:
            avatars: source images, at least one.
            job: the options; None for their defaults. In real time, faces are looked for in a thread of their own;
                otherwise frames wait for that, so that results can be repeated exactly.

        Raises:
            FommError: what went wrong, and what to do.
        """
        job = job or LiveJob()
        prepare_process(job.threads)
        animator = Animator.load(
            job.checkpoint, job.config, device=job.device, engine=job.engine, precision=job.precision
        )
        if not animator.engine.ready:
            raise InputError(
                f"--engine {job.engine} --precision {job.precision} is not calibrated for this model",
                "Use another --precision",
            )
        with ExitStack() as opened:
            encoder = AvatarEncoder(animator, job)
            ready = Avatars(avatars, encoder)
            opened.callback(ready.close)
            watch = None
            if job.crop == "auto" and is_about_faces(animator.config):
                look = FaceLook(_open_finder(opened, job.face_backend))
                watch = FaceWatch(look, look.forget, background=job.realtime)
                opened.callback(watch.close)
            session = cls(animator, ready, watch)
            session.motion_scale = job.motion_scale
            session.mirror = job.mirror
            session._closing = opened.pop_all()
        return session

    def process(self, frame: np.ndarray, captured_at: float) -> LiveFrame:
        """Animate the present avatar by the next camera frame.

        Args:
            frame: uint8 (H, W, 3) RGB of any size, which may change from frame to frame.
            captured_at: when it was captured, in seconds of any clock that does not run back.
        """
        return self.decode(self.follow(frame, captured_at))

    @torch.inference_mode()
    def follow(self, frame: np.ndarray, captured_at: float) -> Pose:
        """Do the first half of `process`, which depends on the frames before: find out the pose to take."""
        began = clock.perf_counter()
        if self.mirror:
            frame = np.ascontiguousarray(frame[:, ::-1])
        warnings = (*self._settled(), *self._looked(frame, captured_at))
        square = self._face.square(captured_at, (frame.shape[0], frame.shape[1]))
        crop = Region.square_around(square)
        camera = fit_frame(region_of(frame, crop), self._animator.size, "stretch")
        before = clock.perf_counter()
        keypoints = _in_square(self._animator.detect(camera[None]), crop.box, square)
        detected = clock.perf_counter()
        pose = self._motion(keypoints if self._face.is_followed else None, captured_at)
        stages = {
            "detect": 1000 * (detected - before),
            "other": 1000 * (before - began + clock.perf_counter() - detected),
        }
        state = self._motion.reference.state
        followed = Followed(camera, crop, self._face.is_followed, state, self.avatars.index, warnings, stages)
        return Pose(pose, self.avatars.current, followed)

    @torch.inference_mode()
    def decode(self, pose: Pose) -> LiveFrame:
        """Do the second half of `process`, which depends on nothing else and may run in another thread."""
        began = clock.perf_counter()
        image = pose.source.image(pose.keypoints)
        stages = {**pose.followed.milliseconds, "decode": 1000 * (clock.perf_counter() - began)}
        return LiveFrame(**{**vars(pose.followed), "milliseconds": stages}, image=image)

    def _settled(self) -> tuple[str, ...]:
        """Change to the avatar that was asked for, where it is ready; returns warnings."""
        try:
            if self.avatars.settle():
                self._motion.switch(self.avatars.current.keypoints)
        except FommError as error:
            return (str(error),)
        return ()

    def _looked(self, frame: np.ndarray, time: float) -> tuple[str, ...]:
        """Look for the face where a look is due; returns warnings."""
        sighting = self._face.look(frame, time, self._motion.doubtful_since)
        if sighting is None:
            return ()
        if sighting.face is not None:
            self._motion.confirm(sighting.time)
        return self._advice.see(sighting.findings, face=sighting.face is not None, time=sighting.time)

    def take_reference(self) -> None:
        """Let the pose in the next frame be the one that counts as the source's own."""
        self._motion.reference.take()

    def find_reference(self) -> None:
        """Search some seconds for the pose that is nearest the source's."""
        self._motion.reference.find()

    def switch_avatar(self, index: int) -> None:
        """Show another avatar, counted from 0, as soon as it is encoded."""
        self.avatars.switch(index)

    def toggle_mirror(self) -> None:
        """Mirror the camera, or no longer; the reference is searched for again."""
        self.mirror = not self.mirror
        self._face.restart()
        self._motion.restart()

    @property
    def workers(self) -> int:
        """Return how many frames may be decoded side by side."""
        return self._animator.engine.workers

    @property
    def checkpoint_sha256(self) -> str:
        """Hash of the weights."""
        return self._animator.checkpoint_sha256

    @property
    def motion_scale(self) -> float:
        """Return what the motion since the reference is multiplied by; may be set at any time, 0 to 10."""
        return self._motion.motion_scale

    @motion_scale.setter
    def motion_scale(self, scale: float) -> None:
        self._motion.motion_scale = scale

    def close(self) -> None:
        """End the threads and give back the face detector."""
        self._closing.close()

    def __enter__(self) -> LiveSession:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _open_finder(opened: ExitStack, backend: DetectorName) -> FaceDetector:
    """Open a face detector; of those that work here, the first that is fast enough for a camera."""
    if backend != "auto":
        return opened.enter_context(open_detector(backend))
    try:
        return opened.enter_context(open_detector("mediapipe"))
    except FommError as error:
        logger.warning("%s; following the face by the builtin detector, which is slower and less sure", error)
        return opened.enter_context(open_detector("builtin"))


def _in_square(keypoints: KeyPoints, shown: Box, square: Box) -> KeyPoints:
    """Express keypoints found in whole pixels about a square in coordinates of the square itself, in [-1, 1]."""
    (x, y), (square_x, square_y) = shown.centre, square.centre
    ratio = shown.width / square.width
    offset = torch.tensor([x - square_x, y - square_y], dtype=keypoints.value.dtype) * (2 / square.width)
    jacobian = None if keypoints.jacobian is None else keypoints.jacobian * ratio
    return KeyPoints(keypoints.value * ratio + offset.to(keypoints.value.device), jacobian)
