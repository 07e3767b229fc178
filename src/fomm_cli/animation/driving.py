"""Prepare driving motion for a model: a video at the model's size, or a motion template."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Protocol

import numpy as np
import torch

from fomm_cli.animation.animation import DrivingBatch
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.autocrop import FramingOptions, choose_driving_crop
from fomm_cli.animation.best_frame import PointDetector
from fomm_cli.animation.template import MotionTemplate, check_fits
from fomm_cli.errors import InputError
from fomm_cli.geometry import Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.options import Fit
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.frame import Excerpt, Frame, Moment
from fomm_cli.media.video.reader import Clip
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.threads import batched, prefetch

KEYPOINTS = "keypoints"
"""The kind of poses that the model itself detects."""

_FRAMES_BETWEEN = 5


class Driving(Protocol):
    """The motion that a source takes over: `VideoDriving` or `TemplateDriving`."""

    @property
    def footage(self) -> Clip | MotionTemplate:
        """Return the video or template, with its size, rate and times."""
        ...

    @property
    def crop(self) -> Region | None:
        """Return the part of the driving frames that the model sees; None for all of them."""
        ...

    @property
    def has_frames(self) -> bool:
        """Return whether there are frames, rather than keypoints alone."""
        ...

    def keypoints_of(self, index: int) -> KeyPoints:
        """Detect the keypoints of one frame, B = 1.

        Raises:
            InputError: there is no such frame.
        """
        ...

    def rehearsal(self, count: int) -> Iterator[KeyPoints]:
        """Yield the keypoints of up to `count` frames with some time between them, B = 1 each."""
        ...

    def poses(self, kind: str, detect: PointDetector) -> Iterator[np.ndarray | None]:
        """Yield the points of each frame.

        Args:
            kind: what `detect` finds; points of one kind are found once and kept. `KEYPOINTS` are the model's own.
            detect: finds them.
        """
        ...

    def batches(self, start: int = 0, stop: int | None = None) -> Generator[DrivingBatch, None, None]:
        """Yield the frames from `start` to `stop`, exclusive, in batches of the size that suits the device.

        With a `start` that is a multiple of that size, they are the batches of the whole video.
        """
        ...

    def record(self, progress: Progress = silent) -> MotionTemplate:
        """Detect the keypoints of all frames, once for any number of sources."""
        ...


def open_driving(
    job: FramingOptions,
    animator: Animator,
    footage: Clip | MotionTemplate,
    progress: Progress = silent,
    known: MotionTemplate | None = None,
) -> Driving:
    """Prepare the driving motion of a job for a model.

    Args:
        job: says how frames are cropped and resized.
        animator: the model.
        footage: the driving video, or the template in its place.
        progress: told of the frames in which a face was looked for.
        known: what `record` gave for the same video and model before; its crop is taken over.

    Raises:
        InputError: it is a motion template of another model.
    """
    if isinstance(footage, MotionTemplate):
        check_fits(footage, animator)
        return TemplateDriving(footage, animator.batch_size)
    if known is not None:
        return VideoDriving(footage, animator, job.fit, known.crop, known)
    crop = choose_driving_crop(job, animator.config, str(animator.device), footage, progress)
    return VideoDriving(footage, animator, job.fit, crop)


class TemplateDriving:
    """Motion whose keypoints are known; see `Driving`."""

    has_frames = False

    def __init__(self, template: MotionTemplate, batch_size: int) -> None:
        self.footage = template
        self.crop = template.crop
        self._batch_size = batch_size

    def keypoints_of(self, index: int) -> KeyPoints:
        """Return the keypoints of one frame, B = 1."""
        keypoints = self.footage.keypoints
        if index >= len(keypoints):
            raise _beyond_the_end(index, self.footage.name, len(keypoints))
        return keypoints[index : index + 1]

    def rehearsal(self, count: int) -> Iterator[KeyPoints]:
        """Yield the keypoints of up to `count` frames, spread over all of them."""
        keypoints = self.footage.keypoints
        yield from (keypoints[index : index + 1] for index in range(0, len(keypoints), -(-len(keypoints) // count)))

    def poses(self, kind: str, detect: PointDetector) -> Iterator[np.ndarray | None]:  # noqa: ARG002 - nothing to detect
        """Yield the keypoints of each frame; there are no other points."""
        if kind != KEYPOINTS:
            raise ValueError("a motion template has no frames to detect anything in")
        yield from self.footage.keypoints.value.numpy()

    def batches(self, start: int = 0, stop: int | None = None) -> Generator[DrivingBatch, None, None]:
        """Yield batches of keypoints."""
        moments, keypoints = self.footage.timeline[start:stop], self.footage.keypoints[start:stop]
        for first in range(0, len(moments), self._batch_size):
            some = slice(first, first + self._batch_size)
            yield DrivingBatch(list(moments[some]), keypoints=keypoints[some])

    def record(self, progress: Progress = silent) -> MotionTemplate:  # noqa: ARG002 - nothing to do
        """Return the template."""
        return self.footage


class VideoDriving:
    """The frames of a video, cropped and resized for the model; see `Driving`."""

    has_frames = True

    def __init__(
        self, clip: Clip, animator: Animator, fit: Fit, crop: Region | None = None, known: MotionTemplate | None = None
    ) -> None:
        """Take a clip.

        Args:
            clip: the driving video.
            animator: the model.
            fit: how its frames are brought to the size of the model.
            crop: the part of them that the model sees; None for all.
            known: what `record` gave for the same clip, model and crop before: no frame has to be decoded.
        """
        self.footage = clip
        self.crop = crop
        self._animator = animator
        self._fit = fit
        self._known = None if known is None else TemplateDriving(known, animator.batch_size)
        if known is not None:
            clip.offset = known.offset  # which is exact
        self._initial: dict[int, KeyPoints] = {}
        self._poses: dict[str, list[np.ndarray | None]] = {}

    def frames(self) -> Iterator[Frame]:
        """Yield the frames at the size of the model."""
        for frame in self.footage.frames(Excerpt(self.crop, self._animator.size)):
            yield replace(frame, image=fit_frame(frame.image, self._animator.size, self._fit))

    def keypoints_of(self, index: int) -> KeyPoints:
        """Detect the keypoints of one frame, B = 1, once."""
        if index not in self._initial:
            self._initial[index] = self._animator.detect(self._frame(index)[None])
        return self._initial[index]

    def _frame(self, index: int) -> np.ndarray:
        for count, frame in enumerate(islice(self.frames(), index + 1)):
            if count == index:
                return frame.image
        raise _beyond_the_end(index, self.footage.name, count + 1)

    def rehearsal(self, count: int) -> Iterator[KeyPoints]:
        """Yield the keypoints of up to `count` frames from the beginning, with some frames between them."""
        if self._known is not None:
            yield from self._known.rehearsal(count)
            return
        frames = islice(self.frames(), 0, _FRAMES_BETWEEN * count, _FRAMES_BETWEEN)
        yield from (self._animator.detect(frame.image[None]) for frame in frames)

    def poses(self, kind: str, detect: PointDetector) -> Iterator[np.ndarray | None]:
        """Yield the points that `detect` finds in each frame; they are kept, so read them to the end."""
        if kind == KEYPOINTS and self._known is not None:
            yield from self._known.poses(kind, detect)
            return
        if kind in self._poses:
            yield from self._poses[kind]
            return
        found = []
        for frame in self.frames():
            found.append(detect(frame.image))
            yield found[-1]
        self._poses[kind] = found

    def batches(self, start: int = 0, stop: int | None = None) -> Generator[DrivingBatch, None, None]:
        """Yield batches of frames, or of their keypoints where these are known."""
        if self._known is not None:
            yield from self._known.batches(start, stop)
            return
        for moments, frames in self._decoded(start, stop):
            yield DrivingBatch(moments, frames)

    def _decoded(self, start: int, stop: int | None) -> Generator[tuple[list[Moment], np.ndarray], None, None]:
        with closing(prefetch(self.frames(), depth=2 * self._animator.batch_size)) as frames:
            for batch in batched(islice(frames, start, stop), self._animator.batch_size):
                moments = [Moment(frame.time, frame.duration) for frame in batch]
                yield moments, np.stack([frame.image for frame in batch])

    def record(self, progress: Progress = silent) -> MotionTemplate:
        """Detect the keypoints of all frames."""
        if self._known is not None:
            return self._known.footage
        timeline: list[Moment] = []
        found: list[KeyPoints] = []
        with closing(self._decoded(0, None)) as batches:
            for moments, frames in batches:
                timeline += moments
                found.append(self._animator.detect(frames).to(torch.device("cpu")))
                progress("detecting keypoints", len(timeline), self.footage.info.frame_count)
        info = self.footage.info
        return MotionTemplate(
            KeyPoints.joined(found), tuple(timeline), self._animator.checkpoint_sha256, info.rate,
            (info.height, info.width), info.still, self.footage.offset, self.crop,
        )  # fmt: skip


def _beyond_the_end(index: int, name: str, count: int) -> InputError:
    return InputError(
        f"--best_frame {index} is beyond the end of {name}, which has {count} frames here", f"Use 0 to {count - 1}"
    )
