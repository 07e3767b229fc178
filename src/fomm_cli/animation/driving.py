"""A driving video as a model sees it: frames of the model's size, and their key points."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.best_frame import Detector
from fomm_cli.animation.template import Moment, MotionTemplate, TemplateClip
from fomm_cli.errors import InputError
from fomm_cli.geometry import Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.paste import cropped
from fomm_cli.media.resize import Fit, fit_frame
from fomm_cli.media.video.reader import Clip, Frame
from fomm_cli.runtime.prefetch import batched, prefetch

KEY_POINTS = "key points"
"""The kind of poses that a model itself finds."""

_FRAMES_BETWEEN = 5

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class DrivingBatch:
    """Some consecutive driving frames.

    Attributes:
        moments: when each is shown.
        motion: the frames, uint8 (B, height, width, 3), or their key points.
    """

    moments: list[Moment]
    motion: np.ndarray | KeyPoints


class Driving:
    """The frames of a clip in the order and batches in which they are animated."""

    def __init__(
        self, clip: Clip, animator: Animator, fit: Fit, crop: Region | None = None, known: MotionTemplate | None = None
    ) -> None:
        """Take a clip as it comes, or with its key points where they are known.

        Args:
            clip: the driving video.
            animator: the model.
            fit: how its frames are brought to the size of the model.
            crop: the part of them that the model sees; None for all.
            known: what an earlier `record` of the same clip, model and crop gave.
        """
        self.clip = clip
        self.crop = crop
        if known:
            clip.offset = known.offset  # which is exact
        self._animator = animator
        self._fit = fit
        self._known = known
        self._initial: dict[int, KeyPoints] = {}
        self._poses: dict[str, list[np.ndarray | None]] = {}

    def frames(self) -> Iterator[Frame]:
        """The frames at the size of the model."""
        for frame in self.clip.frames():
            yield replace(frame, image=fit_frame(cropped(frame.image, self.crop), self._animator.size, self._fit))

    def key_points_of(self, index: int) -> KeyPoints:
        """Key points of one frame, B = 1; found once.

        Raises:
            InputError: there is no such frame.
        """
        if isinstance(self.clip, TemplateClip):
            points = self.clip.template.key_points
            if index >= len(points):
                raise self._beyond_the_end(index, len(points))
            return points[index : index + 1]
        if index not in self._initial:
            self._initial[index] = self._animator.detect(self._frame(index)[None])
        return self._initial[index]

    def some_key_points(self, count: int) -> Iterator[KeyPoints]:
        """Key points of up to `count` frames, B = 1 each, with some time between them."""
        if self._known is not None:
            points = self._known.key_points
            yield from (points[index : index + 1] for index in range(0, len(points), -(-len(points) // count)))
            return
        frames = islice(self.frames(), 0, _FRAMES_BETWEEN * count, _FRAMES_BETWEEN)
        yield from (self._animator.detect(frame.image[None]) for frame in frames)

    def _frame(self, index: int) -> np.ndarray:
        for count, frame in enumerate(islice(self.frames(), index + 1)):
            if count == index:
                return frame.image
        raise self._beyond_the_end(index, count + 1)

    def _beyond_the_end(self, index: int, count: int) -> InputError:
        return InputError(
            f"--best_frame {index} is beyond the end of {self.clip.name}, which has {count} frames here",
            f"Use 0 to {count - 1}",
        )

    @property
    def has_pictures(self) -> bool:
        """Whether there is more than key points."""
        return not isinstance(self.clip, TemplateClip)

    def poses(self, kind: str, detect: Detector) -> Iterator[np.ndarray | None]:
        """The points that `detect` finds in each frame; found once for each kind, and so read to the end."""
        if kind == KEY_POINTS and self._known is not None:
            yield from self._known.key_points.value.numpy()
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
        """The frames from `start` to `stop`, exclusive, in batches of the size that suits the device.

        With a `start` that is a multiple of that size, they are the batches of the whole video.
        """
        if self._known is None:
            yield from self._decoded(start, stop)
            return
        moments, points = self._known.moments[start:stop], self._known.key_points[start:stop]
        for first in range(0, len(moments), self._animator.batch_size):
            some = slice(first, first + self._animator.batch_size)
            yield DrivingBatch(list(moments[some]), points[some])

    def _decoded(self, start: int, stop: int | None) -> Generator[DrivingBatch, None, None]:
        with closing(prefetch(self.frames(), depth=2 * self._animator.batch_size)) as frames:
            for batch in batched(islice(frames, start, stop), self._animator.batch_size):
                moments = [Moment(frame.time, frame.duration) for frame in batch]
                yield DrivingBatch(moments, np.stack([frame.image for frame in batch]))

    def record(self, progress: Progress = lambda *_: None) -> MotionTemplate:
        """Find the key points of all frames, once for any number of sources."""
        if self._known is not None:
            return self._known
        moments: list[Moment] = []
        found: list[KeyPoints] = []
        with closing(self._decoded(0, None)) as batches:
            for batch in batches:
                moments += batch.moments
                found.append(self._animator.detect(batch.motion).to(torch.device("cpu")))  # type: ignore[arg-type]
                progress("finding key points", len(moments), self.clip.info.frame_count)
        info = self.clip.info
        return MotionTemplate(
            KeyPoints.joined(found), tuple(moments), self._animator.checkpoint_sha256, info.rate,
            (info.height, info.width), info.still, self.clip.offset, self.crop,
        )  # fmt: skip
