"""Read the frames of a driving video, folder or image, one at a time, with their exact times."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from fomm_cli.errors import InputError
from fomm_cli.files.inputs import check_exists
from fomm_cli.files.kind import Kind, identify
from fomm_cli.media.folder import images_in
from fomm_cli.media.image import is_still_image, read_colours, read_image
from fomm_cli.media.video.decoder import Damage, decoded_frames, probe
from fomm_cli.media.video.frame import LARGE, WHOLE, Excerpt, Frame, Moment
from fomm_cli.media.video.pixels import Converter, display_matrix
from fomm_cli.media.video.timing import DEFAULT_RATE, judge_timing
from fomm_cli.media.video.webp import TICK as WEBP_TICK
from fomm_cli.media.video.webp import WebpAnimation, open_webp
from fomm_cli.runtime.threads import prefetch

_log = logging.getLogger(__name__)
_SEEK_FROM = 5  # seconds; decoding that much is quicker than a seek that goes wrong
_START_PRECISION = 1_000_000  # seconds given as float are meant to the microsecond


@dataclass(frozen=True)
class ClipInfo:
    """The facts about a clip that are known before its frames are read.

    Attributes:
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        rate: frames per second, exact for constant rates, the average for variable ones.
        frame_count: estimate of the frames that will come, None if unknown.
        has_audio: whether the file carries audio.
        still: whether the source is one single image.
    """

    width: int
    height: int
    rate: Fraction
    frame_count: int | None
    has_audio: bool
    still: bool


@dataclass(frozen=True)
class Shot:
    """A frame before its pixels are converted; times in seconds since the source's first frame."""

    time: Fraction
    duration: Fraction | None
    render: Callable[[], np.ndarray | None]


class Source(Protocol):
    """A source of the frames of a clip.

    Attributes:
        info: of the whole source.
        origin: of its first frame, in seconds on the file's own clock.
    """

    info: ClipInfo
    origin: Fraction

    def shots(self, start: Fraction, damage: Damage, excerpt: Excerpt) -> Generator[Shot, None, None]:
        """Yield the excerpts of frames from ``start`` seconds or earlier on, and note damage."""
        ...


@dataclass(frozen=True)
class Range:
    """The part of a source to keep: seconds since its first frame, ``end`` exclusive."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    max_frames: int | None = None

    @classmethod
    def between(cls, start: float, end: float | None, max_frames: int | None) -> Range:
        """Return the range between two times as people give them."""
        return cls(_seconds(start), None if end is None else _seconds(end), max_frames)

    def expected(self, info: ClipInfo) -> int | None:
        """Estimate how many of the source's frames are kept."""
        count = info.frame_count
        if self.end is not None:
            until_end = math.ceil(self.end * info.rate)
            count = until_end if count is None else min(count, until_end)
        if count is not None:
            count = max(0, count - math.ceil(self.start * info.rate))
        limits = [limit for limit in (count, self.max_frames) if limit is not None]
        return min(limits) if limits else None


class Clip:
    """The kept frames of a source, which can be read several times.

    Attributes:
        path: the video, folder or image.
        name: the path, for messages.
        info: size, rate and the number of kept frames.
        offset: of the first kept frame in seconds on the file's own clock (where its audio has to start);
            exact once a frame was read.
    """

    def __init__(self, path: Path, source: Source, kept: Range) -> None:
        self.path = path
        self.name = str(path)
        self.info = replace(source.info, frame_count=kept.expected(source.info))
        self.offset = source.origin + kept.start
        self._source = source
        self._kept = kept
        self._warned = False

    def frames(self, excerpt: Excerpt = WHOLE) -> Iterator[Frame]:
        """Yield the kept frames; each call opens the source again. Damage is logged once, at the end.

        Args:
            excerpt: what is needed of each.

        Raises:
            InputError: no frame lies in the kept range, or the file went away.
        """
        damage = Damage()
        first: Fraction | None = None
        count = 0
        with closing(self._kept_shots(damage, excerpt)) as shots:
            for shot in shots:
                image = shot.render()
                if image is None:
                    continue
                if first is None:
                    first = shot.time
                    self.offset = self._source.origin + first
                yield Frame(shot.time - first, shot.duration, image)
                count += 1
                if count == self._kept.max_frames:
                    break
        if count == 0:
            raise nothing_kept(self.name, self._kept, Fraction(0))
        self._warn(damage, count)

    def looks(self, interval: Fraction) -> Iterator[tuple[int, Frame]]:
        """Yield one frame in each interval of so many seconds and the last one, each with its number from 0.

        The others are decoded, but not converted, which takes a third of the time.

        Raises:
            InputError: as `frames`.
        """
        due, first = Fraction(0), None
        left_out: tuple[int, Shot] | None = None
        with closing(self._kept_shots(Damage(), WHOLE)) as shots:
            for number, shot in enumerate(islice(shots, self._kept.max_frames)):
                first = shot.time if first is None else first
                left_out = number, shot
                if shot.time - first >= due and (image := shot.render()) is not None:
                    due, left_out = shot.time - first + interval, None
                    yield number, Frame(shot.time - first, shot.duration, image)
            if left_out is not None and first is not None and (image := left_out[1].render()) is not None:
                yield left_out[0], Frame(left_out[1].time - first, left_out[1].duration, image)

    def _kept_shots(self, damage: Damage, excerpt: Excerpt) -> Generator[Shot, None, None]:
        """Yield what lies between start and end; raise InputError where nothing does."""
        count, length = 0, Fraction(0)
        with closing(self._source.shots(self._kept.start, damage, excerpt)) as shots:
            for shot in shots:
                if self._kept.end is not None and shot.time >= self._kept.end:
                    break
                length = shot.time + (shot.duration or 0)
                if shot.time >= self._kept.start:
                    count += 1
                    yield shot
        if count == 0:
            raise nothing_kept(self.name, self._kept, length)

    def moments(self) -> Iterator[Moment]:
        """Yield when each kept frame is shown; reads all of them.

        Raises:
            InputError: as `frames`.
        """
        yield from self.frames()

    def _warn(self, damage: Damage, count: int) -> None:
        if self._warned or not (damage.unreadable or damage.incomplete):
            return
        self._warned = True
        lost = "its end is missing" if damage.incomplete else f"{damage.unreadable} frame(s) could not be read"
        _log.warning("%s is damaged (%s): going on with the %d frame(s) that could be read", self.name, lost, count)


def nothing_kept(name: str, kept: Range, length: Fraction) -> InputError:
    """Build the error for a source of `length` seconds that has no frame in the range to keep."""
    if length == 0:
        return InputError(f"{name} holds no frame that can be decoded", "Download or copy it again.")
    return InputError(
        f"{name} has no frame from second {float(kept.start):g} on: it is {float(length):.2f} s long",
        "Choose an earlier start.",
    )


def open_clip(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    max_frames: int | None = None,
    rate: Fraction | None = None,
    *,
    over_white: bool = True,
) -> Clip:
    """Open a video, a folder of frames or a still image.

    Args:
        path: what to read.
        start: seconds since the first frame; earlier frames are dropped.
        end: seconds since the first frame, exclusive.
        max_frames: stop after this many kept frames.
        rate: frames per second of a folder of frames (25 when None); videos have their own.
        over_white: whether transparent parts of a file are laid over white, rather than shown in the colours they have.

    Raises:
        InputError: nothing there that can be read as frames, or an impossible range.
    """
    kept = Range.between(start, end, max_frames)
    if (
        kept.start < 0
        or (kept.end is not None and kept.end <= kept.start)
        or (max_frames is not None and max_frames < 1)
    ):
        raise InputError(f"no frame of {path} lies between {start:g} s and {end} s", "Choose an end after the start.")
    check_exists(path)
    return Clip(path, _source_of(path, rate or DEFAULT_RATE, over_white), kept)


def _source_of(path: Path, rate: Fraction, over_white: bool) -> Source:
    kind = _identified(path)
    if kind == "folder":
        return FolderSource(path, rate)
    if kind == "video":
        return VideoSource(path, over_white)
    if (animation := open_webp(path)) is not None:
        return WebpSource(animation, over_white)
    return StillSource(path, rate, over_white) if is_still_image(path) else VideoSource(path, over_white)


def _identified(path: Path) -> Kind:
    try:
        return identify(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "Check its permissions.") from error


def _seconds(value: float) -> Fraction:
    return Fraction(value).limit_denominator(_START_PRECISION)


class StillSource:
    """One image as a clip of one frame."""

    origin = Fraction(0)

    def __init__(self, path: Path, rate: Fraction, over_white: bool) -> None:
        self._image = read_image(path) if over_white else read_colours(path)
        height, width = self._image.shape[:2]
        self.info = ClipInfo(width, height, rate, 1, has_audio=False, still=True)

    def shots(self, start: Fraction, damage: Damage, excerpt: Excerpt) -> Generator[Shot, None, None]:  # noqa: ARG002 - the one frame is undamaged
        """Yield the image."""
        yield Shot(Fraction(0), 1 / self.info.rate, lambda: excerpt.of(self._image))


class FolderSource:
    """The images of a folder, in the order people number them."""

    origin = Fraction(0)

    def __init__(self, folder: Path, rate: Fraction) -> None:
        self._paths = images_in(folder)
        first = next((image for image in map(_read_or_none, self._paths) if image is not None), None)
        if first is None:
            raise InputError(f"none of the images in {folder} can be read", "Copy or export the frames again.")
        height, width = first.shape[:2]
        self.info = ClipInfo(width, height, rate, len(self._paths), has_audio=False, still=False)

    def shots(self, start: Fraction, damage: Damage, excerpt: Excerpt) -> Generator[Shot, None, None]:
        """Yield the images; one that cannot be read leaves a gap."""

        def render(path: Path) -> np.ndarray | None:
            image = _read_or_none(path)
            damage.unreadable += image is None
            return None if image is None else excerpt.of(image)

        interval = 1 / self.info.rate
        first = min(math.ceil(start * self.info.rate), len(self._paths) - 1)
        for index, path in enumerate(self._paths[first:], first):
            yield Shot(index * interval, interval, lambda path=path: render(path))  # type: ignore[misc]


def _read_or_none(path: Path) -> np.ndarray | None:
    try:
        return read_image(path)
    except InputError:
        return None


class WebpSource:
    """An animated WebP file, which few versions of FFmpeg read."""

    origin = Fraction(0)

    def __init__(self, animation: WebpAnimation, over_white: bool) -> None:
        self._animation = animation
        self._over_white = over_white
        self._timing = judge_timing(animation.times, WEBP_TICK, ())
        next(animation.frames())  # damage shows now, not after minutes of work
        height, width = animation.size
        count = len(animation.times) - 1
        self.info = ClipInfo(width, height, self._timing.rate, count, has_audio=False, still=False)

    def shots(self, start: Fraction, damage: Damage, excerpt: Excerpt) -> Generator[Shot, None, None]:  # noqa: ARG002 - decoded from the first
        """Yield the frames."""
        times = [self._timing.unrounded(time) for time in self._animation.times]
        shown, read = self._animation.frames(over_white=self._over_white), 0
        for (time, end), image in zip(pairwise(times), shown, strict=False):
            yield Shot(time, end - time, lambda image=image: excerpt.of(image))  # type: ignore[misc]
            read += 1
        damage.incomplete |= read < len(times) - 1 or not self._animation.whole


class VideoSource:
    """A video file, decoded by FFmpeg."""

    def __init__(self, path: Path, over_white: bool) -> None:
        self._path = path
        self._over_white = over_white
        found, has_audio = probe(path)
        self._timing, self._timed = found.timing, found.timed
        self._turn = display_matrix(found.frame)
        height, width = Converter(self._turn)(found.frame).shape[:2]
        self.origin = self._timing.origin
        self.info = ClipInfo(width, height, self._timing.rate, found.frame_count, has_audio=has_audio, still=False)

    def shots(self, start: Fraction, damage: Damage, excerpt: Excerpt) -> Generator[Shot, None, None]:
        """Decode, from the key frame before ``start`` if that is far in."""
        if self._timed and start >= _SEEK_FROM:
            shots = self._decode(start, damage, excerpt)
            first = next(shots, None)
            if first is not None and first.time <= start:
                yield first
                yield from shots
                return
            damage.unreadable, damage.incomplete = 0, False  # the seek went past the start
        yield from self._decode(Fraction(0), damage, excerpt)

    def _decode(self, begin: Fraction, damage: Damage, excerpt: Excerpt) -> Iterator[Shot]:
        convert = Converter(self._turn, excerpt, over_white=self._over_white)
        previous: Fraction | None = None
        decoded = decoded_frames(self._path, begin + self.origin if begin else begin, damage)
        if self.info.width * self.info.height > LARGE:  # decode the next one while this one is converted
            decoded = prefetch(decoded, depth=1)
        with closing(decoded):
            for frame in decoded:
                time, duration = self._times(frame, previous)
                previous = time
                yield Shot(time, duration, partial(convert, frame))

    def _times(self, frame: av.VideoFrame, previous: Fraction | None) -> tuple[Fraction, Fraction | None]:
        """Return time since the first frame and duration; times that are missing or go back follow the rate."""
        tick = self._timing.tick
        duration = self._timing.unrounded(frame.duration * tick) if frame.duration else None
        time = None if frame.pts is None else self._timing.since_origin(frame.pts * tick)
        if time is None or (previous is not None and time <= previous):
            time = Fraction(0) if previous is None else previous + 1 / self._timing.rate
        return time, duration
