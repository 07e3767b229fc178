"""`fomm animate`: from a job to a file."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from fomm_cli import __version__
from fomm_cli.config import VisualizerParams
from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.landmarks import landmark_detector
from fomm_cli.jobs import AnimateJob
from fomm_cli.media.audio import add_audio
from fomm_cli.media.drawing import draw_key_points, side_by_side
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import Fit, fit_frame, fit_source
from fomm_cli.media.target import Target
from fomm_cli.media.video_reader import Clip, Frame, open_clip
from fomm_cli.media.video_writer import FrameWriter, open_writer
from fomm_cli.pipeline.animator import Animation, Animator
from fomm_cli.pipeline.best_frame import Detector, find_best_frame
from fomm_cli.pipeline.device import describe_device
from fomm_cli.pipeline.prefetch import batched, prefetch

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, the frames done and the frames in all, None where that is unknown."""


@dataclass(frozen=True)
class AnimateResult:
    """What came out of a job.

    Attributes:
        path: the result.
        frames: how many it has.
        seconds: from the first frame read to the file in place, without loading the model.
        rate: frames per second of the result.
        duration: of the result, in seconds.
        audio: whether it has sound.
        device: what the networks ran on.
        checkpoint_sha256: of the weights.
        best_frame: the driving frame that was the initial one.
        visualization: the file with the key points, if asked for.
    """

    path: Path
    frames: int
    seconds: float
    rate: Fraction
    duration: Fraction
    audio: bool
    device: str
    checkpoint_sha256: str
    best_frame: int
    visualization: Path | None


@dataclass(frozen=True)
class _AnimatedFrame:
    """A driving frame at the model's size, what became of it, and its key points (K, 2)."""

    driving: Frame
    image: np.ndarray
    key_points: np.ndarray


View = Callable[[_AnimatedFrame], np.ndarray]
"""The picture that a file shows of an animated frame."""


def animate(job: AnimateJob, progress: Progress = lambda *_: None) -> AnimateResult:
    """Do the job.

    Raises:
        FommError: what went wrong, and what to do.
    """
    clip = open_clip(job.driving_video, job.start, job.end, job.max_frames, job.fps)
    target = Target.of(job.result_video, still=clip.info.still, inputs=(job.source_image, job.driving_video))
    picture = read_image(job.source_image)
    animator = Animator.load(job.checkpoint, job.config, device=job.device, align_corners=job.align_corners)
    began = time.perf_counter()
    source = fit_source(picture, animator.size, job.fit)
    best_frame = _choose_initial(job, animator, clip, source, progress)
    initial = _nth_frame(clip, best_frame, animator.size, job.fit)
    animation = animator.start(source, initial, relative=job.relative, adapt_scale=job.adapt_scale)
    views: list[tuple[Target, View]] = [(target, lambda frame: frame.image)]
    if job.visualize:
        comparison = _Comparison(source, animation, animator.config.visualizer_params)
        views.append((target.beside("visualization"), comparison))

    with ExitStack() as publishing:
        parts = [(publishing.enter_context(place.publishing()), view) for place, view in views]
        frames = prefetch(_animated_frames(clip, animator, animation, job.fit), depth=2 * animator.batch_size)
        metadata = _provenance(job, animator, best_frame)
        count, duration = _write(frames, parts, clip, metadata, job.crf, progress)
        sound = job.audio and _add_sound(clip, parts[0][0], duration)

    return AnimateResult(
        path=target.shown,
        frames=count,
        seconds=time.perf_counter() - began,
        rate=clip.info.rate,
        duration=duration,
        audio=sound,
        device=describe_device(animator.device),
        checkpoint_sha256=animator.checkpoint_sha256,
        best_frame=best_frame,
        visualization=views[1][0].shown if job.visualize else None,
    )


def _choose_initial(job: AnimateJob, animator: Animator, clip: Clip, source: np.ndarray, progress: Progress) -> int:
    """Index of the driving frame that stands for the source's own pose."""
    if not job.find_best_frame:
        return job.best_frame or 0
    picture = np.rint(source * 255).astype(np.uint8)
    for detect, what in _detectors(animator):
        frames = _counted(_fitted(clip, animator.size, job.fit), "best frame", clip.info.frame_count, progress)
        best = find_best_frame(picture, (frame.image for frame in frames), detect)
        if best is not None:
            logger.info("best frame: %d (by %s)", best, what)
            return best
        logger.warning("no %s found to compare the source with the driving video by", what)
    return 0


def _detectors(animator: Animator) -> Iterator[tuple[Detector, str]]:
    """Ways to compare poses, the best first."""
    try:
        yield landmark_detector(animator.device), "face landmarks"
    except FommError as error:
        logger.warning("%s; comparing the model's own key points instead", error)
    yield lambda picture: animator.detect(picture[None]).value[0].cpu().numpy(), "key points"


def _nth_frame(clip: Clip, index: int, size: tuple[int, int], fit: Fit) -> np.ndarray:
    for count, frame in enumerate(islice(_fitted(clip, size, fit), index + 1)):
        if count == index:
            return frame.image
    raise InputError(
        f"--best_frame {index} is beyond the end of {clip.name}, which has {count + 1} frames here",
        f"Use 0 to {count}",
    )


def _fitted(clip: Clip, size: tuple[int, int], fit: Fit) -> Iterator[Frame]:
    """The frames of a clip at the size of the model."""
    for frame in clip.frames():
        yield replace(frame, image=fit_frame(frame.image, size, fit))


def _animated_frames(clip: Clip, animator: Animator, animation: Animation, fit: Fit) -> Iterator[_AnimatedFrame]:
    with closing(prefetch(_fitted(clip, animator.size, fit), depth=2 * animator.batch_size)) as frames:
        for batch in batched(frames, animator.batch_size):
            rendered = animation.render(np.stack([frame.image for frame in batch]))
            for frame, image, points in zip(batch, rendered.images, rendered.key_points, strict=True):
                yield _AnimatedFrame(frame, image, points)


def _counted(frames: Iterator[Frame], stage: str, total: int | None, progress: Progress) -> Iterator[Frame]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(stage, done, total)


def _write(
    frames: Generator[_AnimatedFrame, None, None],
    parts: list[tuple[Path, View]],
    clip: Clip,
    metadata: dict[str, str],
    crf: int | None,
    progress: Progress,
) -> tuple[int, Fraction]:
    """Write every frame to every part; returns how many there were, and how long they last."""
    writers: list[FrameWriter] = []
    count, end = 0, Fraction(0)
    with closing(frames), ExitStack() as writing:
        for animated in frames:
            driving = animated.driving
            pictures = [view(animated) for _, view in parts]
            if not writers:
                writers = [
                    writing.enter_context(open_writer(part, picture.shape[:2], clip.info.rate, metadata, crf))
                    for (part, _), picture in zip(parts, pictures, strict=True)
                ]
            for writer, picture in zip(writers, pictures, strict=True):
                writer.write(picture, driving.time, driving.duration)
            count += 1
            end = driving.time + (driving.duration or 1 / clip.info.rate)
            progress("animating", count, clip.info.frame_count)
    return count, end


class _Comparison:
    """Source, driving frame and result side by side, with key points on the first two."""

    def __init__(self, source: np.ndarray, animation: Animation, params: VisualizerParams) -> None:
        self._params = params
        points = animation.key_points.value[0].cpu().numpy()
        self._source = draw_key_points(np.rint(source * 255).astype(np.uint8), points, params.kp_size)

    def __call__(self, frame: _AnimatedFrame) -> np.ndarray:
        driving = draw_key_points(frame.driving.image, frame.key_points, self._params.kp_size)
        return side_by_side([self._source, driving, frame.image], border=self._params.draw_border)


def _add_sound(clip: Clip, part: Path, duration: Fraction) -> bool:
    """Put the driving video's sound under the rendered picture; the picture stays whatever happens."""
    voiced = part.with_name(f"{part.stem}.sound{part.suffix}")
    try:
        if not add_audio(part, clip.path, voiced, clip.offset, duration):
            return False
        voiced.replace(part)
    finally:
        voiced.unlink(missing_ok=True)
    return True


def _provenance(job: AnimateJob, animator: Animator, best_frame: int) -> dict[str, str]:
    """What the file says about itself: that it is synthetic, and how it was made. No paths: they may be private."""
    made_by = {
        "synthetic": True,
        "tool": "fomm",
        "version": __version__,
        "checkpoint_sha256": animator.checkpoint_sha256,
        "relative": job.relative,
        "adapt_scale": job.adapt_scale,
        "best_frame": best_frame,
        "align_corners": job.align_corners,
        "fit": job.fit,
    }
    return {"title": "Synthetic media: animated with fomm", "comment": json.dumps(made_by)}
