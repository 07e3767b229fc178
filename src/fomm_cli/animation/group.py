"""Animate several faces of one image together: each follows its driver, and all are pasted into one result."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fomm_cli.animation.animation import AnimatedFrame, Animation, DrivingBatch
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.autocrop import GroupFace
from fomm_cli.animation.driving import Driving
from fomm_cli.animation.transfer import Smoother
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.paste import PasteBack
from fomm_cli.media.paste_weights import paste_weight
from fomm_cli.media.video.frame import Moment
from fomm_cli.runtime.threads import on_shared_threads, prefetch

_AHEAD = 2  # frames that wait to be pasted


@dataclass(frozen=True)
class GroupMember:
    """An animated face of a group.

    Attributes:
        animation: of the face.
        paste: puts it into the image.
        driver: what it follows; None for the driving video of the group.
    """

    animation: Animation
    paste: PasteBack
    driver: Driver | None


class Driver:
    """The keypoints of a driving motion at successive times; one batch of them is in memory."""

    def __init__(self, driving: Driving, animator: Animator, *, smooth: bool, repeats: bool) -> None:
        """Prepare to read a driving motion.

        Args:
            driving: the motion.
            animator: the model.
            smooth: whether its keypoints are smoothed over time.
            repeats: whether it begins again after its end, rather than hold its last frame.
        """
        self._driving = driving
        self._detection = _Detection(animator, driving, smooth=smooth)
        self._repeats = repeats
        self._frames = self._read()
        self._shown: tuple[Fraction, KeyPoints] | None = None
        self._next: tuple[Fraction, KeyPoints] | None = None

    def at(self, times: Sequence[Fraction]) -> KeyPoints:
        """Return the keypoints of the frames that are shown at some times, B of them.

        Args:
            times: seconds, ascending, and none before those that were asked for last.
        """
        return KeyPoints.joined([self._at(time) for time in times])

    def close(self) -> None:
        """Stop reading."""
        self._frames.close()

    def _at(self, time: Fraction) -> KeyPoints:
        if self._shown is None:
            self._shown, self._next = next(self._frames), next(self._frames, None)
        while self._next is not None and self._next[0] <= time:
            self._shown, self._next = self._next, next(self._frames, None)
        return self._shown[1]

    def _read(self) -> Generator[tuple[Fraction, KeyPoints], None, None]:
        start = end = Fraction(0)
        while True:
            with closing(self._driving.batches()) as batches:
                for batch in batches:
                    keypoints = self._detection(batch)
                    for index, moment in enumerate(batch.moments):
                        yield start + moment.time, keypoints[index : index + 1]
                        end = start + moment.time + (moment.duration or 1 / self._driving.footage.info.rate)
            if not self._repeats:
                return
            start = end


class _Detection:
    """Detect the keypoints of successive batches of one driving motion."""

    def __init__(self, animator: Animator, driving: Driving, *, smooth: bool) -> None:
        self._animator = animator
        self._smoother = Smoother(float(1 / driving.footage.info.rate)) if smooth else None

    def __call__(self, batch: DrivingBatch) -> KeyPoints:
        keypoints = batch.detected(self._animator.detect, self._animator.device)
        if self._smoother is not None:
            keypoints, self._smoother = self._smoother(keypoints)
        return keypoints


def paste_of(image: np.ndarray, face: GroupFace, faces: Sequence[GroupFace], shown: np.ndarray) -> PasteBack:
    """Prepare to paste an animated face over those that are smaller.

    Args:
        image: the whole image, uint8 (H, W, 3).
        face: the animated face.
        faces: all faces of the image, the largest first.
        shown: what the model was given of it, float32 (h, w, 3) in [0, 1].
    """
    if face.crop is None:
        raise ValueError(f"face {face.number} is not animated")
    behind = [other.box for other in faces if other.crop is not None and other.number > face.number]
    still = [other.box for other in faces if other.crop is None]
    return PasteBack(image, face.crop, shown, paste_weight(face.crop, image.shape, face.box, behind, still))


_Asked = tuple[list[Moment], list[KeyPoints]]
"""Moments of the result, and the driving keypoints of each member then."""

_Decoded = tuple[Moment, list[np.ndarray]]
"""A moment of the result, and the image of each member."""


def animate_group(
    members: Sequence[GroupMember], driving: Driving, animator: Animator, *, smooth: bool
) -> Generator[AnimatedFrame, None, None]:
    """Animate the faces of an image together, in constant memory.

    Args:
        members: the animated faces, those in front last.
        driving: sets when the frames of the result are shown, and drives the members without a driver.
        animator: the model.
        smooth: whether keypoints are smoothed over time.

    Yields:
        The whole image with all of its faces animated, for every frame of the driving motion.
    """
    asked = _asked(members, driving, animator, smooth=smooth)
    frames = prefetch(_decoded(members, asked, animator.engine.workers), depth=_AHEAD)
    with closing(frames):
        for moment, images in frames:
            whole: np.ndarray | None = None
            for member, image in zip(members, images, strict=True):
                whole = member.paste(image, onto=whole)
            if whole is not None:
                yield AnimatedFrame(moment.time, moment.duration, whole)


def _asked(
    members: Sequence[GroupMember], driving: Driving, animator: Animator, *, smooth: bool
) -> Generator[_Asked, None, None]:
    """Yield the driving keypoints of all members, those of the same driver found once."""
    drivers = list(dict.fromkeys(member.driver for member in members))
    detection = _Detection(animator, driving, smooth=smooth)
    with ExitStack() as opened:
        for driver in filter(None, drivers):
            opened.callback(driver.close)
        for batch in opened.enter_context(closing(driving.batches())):
            times = [moment.time for moment in batch.moments]
            found = {driver: detection(batch) if driver is None else driver.at(times) for driver in drivers}
            yield batch.moments, [found[member.driver] for member in members]


def _decoded(
    members: Sequence[GroupMember], asked: Generator[_Asked, None, None], workers: int
) -> Generator[_Decoded, None, None]:
    """Yield the images of all members, moment by moment."""

    def decode(one: _Asked) -> list[_Decoded]:
        moments, keypoints = one
        images = [member.animation.images(found) for member, found in zip(members, keypoints, strict=True)]
        return [(moment, [each[index] for each in images]) for index, moment in enumerate(moments)]

    with closing(asked), closing(on_shared_threads(decode, asked, workers)) as batches:
        for batch in batches:
            yield from batch
