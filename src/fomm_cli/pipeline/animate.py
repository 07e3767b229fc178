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
from fomm_cli.faces.finder import FaceFinder, open_finder
from fomm_cli.geometry import Region
from fomm_cli.jobs import AnimateJob
from fomm_cli.media.audio import add_audio
from fomm_cli.media.crop import PasteBack, cut, fitted_region
from fomm_cli.media.drawing import draw_key_points, side_by_side
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import Fit, fit_frame, fit_source
from fomm_cli.media.target import Target
from fomm_cli.media.video_reader import Clip, Frame, open_clip
from fomm_cli.media.video_writer import FrameWriter, open_writer
from fomm_cli.motion import Smoother
from fomm_cli.pipeline.animator import Animation, Animator
from fomm_cli.pipeline.best_frame import Detector, find_best_frame
from fomm_cli.pipeline.device import describe_device
from fomm_cli.pipeline.framing import Crops, choose_crops
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
        source_crop: what was animated of the source, such as ``400x400 at (12, -3)``; None for all of it.
        driving_crop: likewise of the driving video.
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
    source_crop: str | None
    driving_crop: str | None


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
    crops = choose_crops(job, animator.config, str(animator.device), picture, clip, progress)
    source = fit_source(_cropped(picture, crops.source), animator.size, job.fit)
    footage = _Footage(clip, crops.driving, animator.size, job.fit)
    best_frame = _choose_initial(job, animator, footage, source, progress)
    initial = _nth_frame(footage, best_frame)
    animation = animator.start(
        source,
        initial,
        relative=job.relative,
        adapt_scale=job.adapt_scale,
        motion_scale=job.motion_scale,
        smoother=Smoother(float(1 / clip.info.rate)) if job.smooth else None,
    )
    views: list[tuple[Target, View]] = [(target, _result_view(job, crops, picture, source))]
    if job.visualize:
        comparison = _Comparison(source, animation, animator.config.visualizer_params)
        views.append((target.beside("visualization"), comparison))

    with ExitStack() as publishing:
        parts = [(publishing.enter_context(place.publishing()), view) for place, view in views]
        frames = prefetch(_animated_frames(footage, animator, animation), depth=2 * animator.batch_size)
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
        source_crop=str(crops.source) if crops.source else None,
        driving_crop=str(crops.driving) if crops.driving else None,
    )


@dataclass(frozen=True)
class _Footage:
    """The driving video as the model sees it: cropped, at the size of the model."""

    clip: Clip
    crop: Region | None
    size: tuple[int, int]
    fit: Fit

    def frames(self) -> Iterator[Frame]:
        for frame in self.clip.frames():
            yield replace(frame, image=fit_frame(_cropped(frame.image, self.crop), self.size, self.fit))


def _cropped(picture: np.ndarray, crop: Region | None) -> np.ndarray:
    return picture if crop is None else cut(picture, crop)


def _result_view(job: AnimateJob, crops: Crops, picture: np.ndarray, source: np.ndarray) -> View:
    """What the result shows: the animated picture, or the whole source with it pasted back."""
    if not job.paste_back:
        return lambda frame: frame.image
    region = crops.source or fitted_region(picture.shape, source.shape[:2], job.fit)
    paste = PasteBack(picture, region, source)
    return lambda frame: paste(frame.image)


def _choose_initial(
    job: AnimateJob, animator: Animator, footage: _Footage, source: np.ndarray, progress: Progress
) -> int:
    """Index of the driving frame that stands for the source's own pose."""
    if not job.find_best_frame:
        return job.best_frame or 0
    picture = np.rint(source * 255).astype(np.uint8)
    with ExitStack() as opened:
        for detect, what in _detectors(job, animator, opened):
            frames = _counted(footage.frames(), "best frame", footage.clip.info.frame_count, progress)
            best = find_best_frame(picture, (frame.image for frame in frames), detect)
            if best is not None:
                logger.info("best frame: %d (by %s)", best, what)
                return best
            logger.warning("no %s found to compare the source with the driving video by", what)
    return 0


def _detectors(job: AnimateJob, animator: Animator, opened: ExitStack) -> Iterator[tuple[Detector, str]]:
    """Ways to compare poses, the best first."""
    if job.face_backend != "builtin":
        try:
            finder = opened.enter_context(open_finder(job.face_backend, str(animator.device), landmarks=True))
            yield _landmark_detector(finder), "face landmarks"
        except InputError:
            raise
        except FommError as error:
            logger.warning("%s; comparing the model's own key points instead", error)
    yield lambda picture: animator.detect(picture[None]).value[0].cpu().numpy(), "key points"


def _landmark_detector(finder: FaceFinder) -> Detector:
    def detect(picture: np.ndarray) -> np.ndarray | None:
        faces = finder.find(picture)
        return faces[0].landmarks if faces else None

    return detect


def _nth_frame(footage: _Footage, index: int) -> np.ndarray:
    for count, frame in enumerate(islice(footage.frames(), index + 1)):
        if count == index:
            return frame.image
    raise InputError(
        f"--best_frame {index} is beyond the end of {footage.clip.name}, which has {count + 1} frames here",
        f"Use 0 to {count}",
    )


def _animated_frames(footage: _Footage, animator: Animator, animation: Animation) -> Iterator[_AnimatedFrame]:
    with closing(prefetch(footage.frames(), depth=2 * animator.batch_size)) as frames:
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
        "motion_scale": job.motion_scale,
        "smooth": job.smooth,
        "best_frame": best_frame,
        "align_corners": job.align_corners,
        "fit": job.fit,
        "paste_back": job.paste_back,
    }
    return {"title": "Synthetic media: animated with fomm", "comment": json.dumps(made_by)}
