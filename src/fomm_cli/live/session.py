"""The live engine: camera frames in, animated frames out, one by one, without a camera or a window of its own."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.autocrop import choose_source_crop, is_about_faces
from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.options import DetectorName
from fomm_cli.geometry import Box, Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.live.advice import Advice
from fomm_cli.live.avatars import Avatar, Avatars
from fomm_cli.live.following import FaceLook, FaceWatch, FollowingSquare, Sighting
from fomm_cli.live.motion import LiveMotion, ReferenceState
from fomm_cli.media.image import read_image
from fomm_cli.media.paste import cropped, region_of
from fomm_cli.media.resize import Fit, fit_frame, fit_source
from fomm_cli.runtime.device import prepare_process

logger = logging.getLogger(__name__)

Crop = Literal["auto", "none"]

_LOST_AFTER = 1.0  # seconds without a sighting, after which one look without a face is enough


@dataclass(frozen=True)
class LiveFrame:
    """What became of a camera frame.

    Attributes:
        image: the animated frame, uint8 (h, w, 3) RGB.
        camera: what the model saw of the camera frame, uint8 (height, width, 3) RGB.
        face: whether a face is followed; without one the avatar returns to rest.
        reference: whether the reference is still searched for.
        avatar: index of the avatar that is shown.
        milliseconds: how long each stage took: ``detect``, ``decode`` and ``other``.
        warnings: what should be better, each said once in a session.
        crop: the square of the camera frame that the model saw, in its pixels, mirrored where that is asked for.
    """

    image: np.ndarray
    camera: np.ndarray
    face: bool
    reference: ReferenceState
    avatar: int
    milliseconds: dict[str, float]
    warnings: tuple[str, ...]
    crop: Region


@dataclass(frozen=True)
class Pose:
    """A camera frame whose motion is known and that is still to be decoded; the fields are those of `LiveFrame`."""

    keypoints: KeyPoints
    source: Avatar
    camera: np.ndarray
    face: bool
    reference: ReferenceState
    avatar: int
    milliseconds: dict[str, float]
    warnings: tuple[str, ...]
    crop: Region


@dataclass(frozen=True)
class _SourceOptions:
    """How sources are cropped; the fields are those of `AnimateJob`."""

    crop: Crop
    face_backend: DetectorName
    fit: Fit = "stretch"
    face: int | None = None
    face_at: tuple[float, float] | None = None


class LiveSession:
    """Animates avatars by single camera frames, one after the other; all methods are called from one thread.

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
        self._watch = watch
        self._square = FollowingSquare()
        self._motion = LiveMotion(avatars.current.keypoints)
        self._advice = Advice()
        self._shape: tuple[int, int] | None = None
        self._face = watch is None
        self._seen = 0.0
        self._missed = 0
        self._closing = ExitStack()

    @classmethod
    def open(
        cls,
        avatars: Sequence[Path],
        *,
        checkpoint: Path | None = None,
        config: str | None = None,
        device: str = "auto",
        engine: str = "torch",
        precision: str = "auto",
        threads: int | None = None,
        face_backend: DetectorName = "auto",
        crop: Crop = "auto",
        background: bool = True,
    ) -> LiveSession:
        """Load a model and encode the first avatar; the others are encoded in the background.

        Args:
            avatars: source images, at least one.
            checkpoint: weights; None for the small model in the package.
            config: bundled name or file; None for the checkpoint's own.
            device: auto, cpu, cuda, cuda:N or mps.
            engine: what decodes frames.
            precision: of its layers.
            threads: processor threads to compute with; None for all.
            face_backend: the face detector.
            crop: auto follows the face, for models of faces; none takes the middle of every frame.
            background: whether faces are looked for in a thread of their own; False repeats results exactly.

        Raises:
            FommError: what went wrong, and what to do.
        """
        prepare_process(threads)
        animator = Animator.load(checkpoint, config, device=device, engine=engine, precision=precision)
        if not animator.engine.ready:
            raise InputError(
                f"--engine {engine} --precision {precision} is not calibrated for this model", "Use another --precision"
            )
        options = _SourceOptions(crop, face_backend)
        with ExitStack() as opened:
            ready = Avatars(avatars, lambda path: _encode(path, animator, options))
            opened.callback(ready.close)
            watch = None
            if crop == "auto" and is_about_faces(animator.config):
                look = FaceLook(_open_finder(opened, face_backend))
                watch = FaceWatch(look, look.forget, background=background)
                opened.callback(watch.close)
            with torch.inference_mode():
                ready.current.decode(ready.current.keypoints)  # the first time takes longer than those that follow
            session = cls(animator, ready, watch)
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
        warnings = self._settle()
        if self.mirror:
            frame = np.ascontiguousarray(frame[:, ::-1])
        warnings += self._watched(frame, captured_at)
        square = self._square.at(captured_at, (frame.shape[0], frame.shape[1]))
        crop = Region.square_around(square)
        camera = fit_frame(region_of(frame, crop), self._animator.size, "stretch")
        before = clock.perf_counter()
        keypoints = self._animator.detect(camera[None])
        detected = clock.perf_counter()
        pose = self._motion(_in_square(keypoints, crop.box, square) if self._face else None, captured_at)
        milliseconds = {"detect": 1000 * (detected - before), "other": 1000 * (before - began)}
        milliseconds["other"] += 1000 * (clock.perf_counter() - detected)
        return Pose(
            pose, self.avatars.current, camera, self._face, self._motion.reference.state, self.avatars.index,
            milliseconds, warnings, crop,
        )  # fmt: skip

    @torch.inference_mode()
    def decode(self, pose: Pose) -> LiveFrame:
        """Do the second half of `process`, which depends on nothing else and may run in another thread."""
        began = clock.perf_counter()
        decoded = (pose.source.decode(pose.keypoints).frames[0] * 255).round_().to(torch.uint8)
        image = decoded.permute(1, 2, 0).contiguous().cpu().numpy()
        milliseconds = {**pose.milliseconds, "decode": 1000 * (clock.perf_counter() - began)}
        return LiveFrame(
            image, pose.camera, pose.face, pose.reference, pose.avatar, milliseconds, pose.warnings, pose.crop
        )

    def _settle(self) -> tuple[str, ...]:
        """Change to the avatar that was asked for, where it is ready; returns warnings."""
        try:
            if self.avatars.settle():
                self._motion.switch(self.avatars.current.keypoints)
        except FommError as error:
            return (str(error),)
        return ()

    def _watched(self, frame: np.ndarray, time: float) -> tuple[str, ...]:
        """Look for the face where a look is due; returns warnings."""
        if self._watch is None:
            return ()
        shape = (frame.shape[0], frame.shape[1])
        if shape != self._shape:
            self._shape = shape
            self._lose()
            self._watch.restart()
        sighting = self._watch.offer(frame, time)
        if self._motion.doubtful_since is not None:
            self._watch.hurry()
        if sighting is None or sighting.shape != shape:
            return ()
        self._note(sighting)
        return self._advice.see(sighting.findings, face=sighting.face is not None, time=sighting.time)

    def _note(self, sighting: Sighting) -> None:
        if sighting.face is not None:
            self._square.see(sighting.face.box, at_once=not self._face)
            self._face, self._seen, self._missed = True, sighting.time, 0
            doubtful = self._motion.doubtful_since
            if doubtful is not None and sighting.time >= doubtful:
                self._motion.confirm()
            return
        self._missed += 1
        if self._missed > 1 or self._motion.doubtful_since is not None or sighting.time - self._seen > _LOST_AFTER:
            self._face = False

    def _lose(self) -> None:
        self._face = False
        self._square.reset()

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
        self._lose()
        self._motion.restart()
        if self._watch is None:
            self._face = True
        else:
            self._watch.restart()

    @property
    def workers(self) -> int:
        """How many frames may be decoded side by side."""
        return self._animator.engine.workers

    @property
    def checkpoint_sha256(self) -> str:
        """Hash of the weights."""
        return self._animator.checkpoint_sha256

    @property
    def motion_scale(self) -> float:
        """What the motion since the reference is multiplied by; may be set at any time, 0 to 10."""
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


@torch.inference_mode()
def _encode(path: Path, animator: Animator, options: _SourceOptions) -> Avatar:
    image = read_image(path)
    crop = choose_source_crop(options, animator.config, str(animator.device), image)
    source = fit_source(cropped(image, crop), animator.size, options.fit)
    keypoints = animator.detect(source[None])
    return Avatar(keypoints, animator.engine.encode(animator.to_tensor(source[None]), keypoints))


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
