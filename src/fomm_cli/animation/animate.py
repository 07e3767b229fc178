"""`fomm animate`: from a job to a file."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import tee
from pathlib import Path
from typing import TypeVar

import numpy as np

from fomm_cli.animation.animator import REHEARSAL, Animation, Animator
from fomm_cli.animation.autocrop import FramingOptions, choose_driving_crop, choose_source_crop
from fomm_cli.animation.best_frame import Detector, find_best_frame, landmark_detector
from fomm_cli.animation.driving import KEY_POINTS, Driving
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.template import Moment, TemplateClip, check_fits, check_options, open_footage
from fomm_cli.animation.transfer import Smoother
from fomm_cli.config.schema import VisualizerParams
from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.detectors.opening import open_finder
from fomm_cli.geometry import Region
from fomm_cli.media.destination import Target
from fomm_cli.media.drawing import draw_key_points, side_by_side
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.paste import PasteBack, cropped, fitted_region
from fomm_cli.media.resize import fit_source
from fomm_cli.media.video.audio import add_audio
from fomm_cli.media.video.reader import Clip
from fomm_cli.media.video.writer import FrameWriter, open_writer
from fomm_cli.runtime.device import describe_device, prepare_process
from fomm_cli.runtime.prefetch import prefetch
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

T = TypeVar("T")

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
        engine: what computed the frames.
        precision: in which precision.
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
    engine: str
    precision: str
    checkpoint_sha256: str
    best_frame: int
    visualization: Path | None
    source_crop: str | None
    driving_crop: str | None


@dataclass(frozen=True)
class AnimatedFrame:
    """What became of a driving frame.

    Attributes:
        moment: when it is shown.
        image: uint8 (H, W, 3).
        driving: the driving frame, uint8 (H, W, 3), and its key points (K, 2), where both are at hand.
    """

    moment: Moment
    image: np.ndarray
    driving: tuple[np.ndarray, np.ndarray] | None = None


View = Callable[[AnimatedFrame], np.ndarray]
"""The picture that a file shows of an animated frame."""


def animate(job: AnimateJob, progress: Progress = lambda *_: None) -> AnimateResult:
    """Do the job.

    Raises:
        FommError: what went wrong, and what to do.
    """
    prepare_process(job.threads)
    files = Files.open(job)
    animator = load_animator(job)
    return animate_by(job, animator, open_driving(job, animator, files.clip, progress), files, progress)


@dataclass(frozen=True)
class Files:
    """The files of a job, checked.

    Attributes:
        clip: the driving video.
        target: where the result goes.
        picture: the source, uint8 (H, W, 3) of any size.
    """

    clip: Clip
    target: Target
    picture: np.ndarray

    @classmethod
    def open(cls, job: AnimateJob, clip: Clip | None = None) -> Files:
        """Open them.

        Args:
            job: what names them.
            clip: the driving video, where it is open already.

        Raises:
            InputError: one of them cannot be worked with.
        """
        check_options(job)
        clip = clip or open_footage(job.driving_video, job.start, job.end, job.max_frames, job.fps)
        target = Target.of(job.result_video, still=clip.info.still, inputs=(job.source_image, job.driving_video))
        return cls(clip, target, read_first_frame(job.source_image))


def load_animator(job: AnimateJob) -> Animator:
    """The model that a job asks for, on its device."""
    return Animator.load(
        job.checkpoint,
        job.config,
        device=job.device,
        align_corners=job.align_corners,
        engine=job.engine,
        precision=job.precision,
    )


def open_driving(job: FramingOptions, animator: Animator, clip: Clip, progress: Progress = lambda *_: None) -> Driving:
    """The driving video of a job as the model sees it, cropped to its face where that helps.

    Raises:
        InputError: it is a motion template of another model.
    """
    if isinstance(clip, TemplateClip):
        check_fits(clip, animator)
        return Driving(clip, animator, job.fit, clip.template.crop, clip.template)
    crop = choose_driving_crop(job, animator.config, str(animator.device), clip, progress)
    return Driving(clip, animator, job.fit, crop)


@dataclass(frozen=True)
class Beginning:
    """What is done once for a source and a driving video.

    Attributes:
        source: float32 (height, width, 3) in [0, 1], of the model's size.
        crop: the part of the source picture that it shows; None for all of it.
        best_frame: the driving frame that is the initial one.
        animation: ready to take over the driving motion.
        provenance: what the result says about itself.
    """

    source: np.ndarray
    crop: Region | None
    best_frame: int
    animation: Animation
    provenance: dict[str, str]


def begin(job: AnimateJob, animator: Animator, driving: Driving, picture: np.ndarray, progress: Progress) -> Beginning:
    """Choose the initial frame and encode the source.

    Raises:
        InputError: there is no such initial frame, or no frame at all.
    """
    crop = choose_source_crop(job, animator.config, str(animator.device), picture)
    source = fit_source(cropped(picture, crop), animator.size, job.fit)
    best_frame = _choose_initial(job, animator, driving, source, progress)
    animation = animator.start(
        source,
        driving.key_points_of(best_frame),
        relative=job.relative,
        adapt_scale=job.adapt_scale,
        motion_scale=job.motion_scale,
        smoother=Smoother(float(1 / driving.clip.info.rate)) if job.smooth else None,
        rehearsal=driving.some_key_points(REHEARSAL),
    )
    return Beginning(source, crop, best_frame, animation, _provenance(job, animator, best_frame))


def animate_by(
    job: AnimateJob, animator: Animator, driving: Driving, files: Files, progress: Progress
) -> AnimateResult:
    """Do the job with a model and a driving video that may serve other jobs too."""
    began = time.perf_counter()
    beginning = begin(job, animator, driving, files.picture, progress)
    views: list[tuple[Target, View]] = [(files.target, _result_view(job, beginning, files.picture))]
    if job.visualize:
        comparison = _Comparison(beginning.source, beginning.animation, animator.config.visualizer_params)
        views.append((files.target.beside("visualization"), comparison))
    frames = prefetch(animated_frames(driving, beginning.animation), depth=2 * animator.batch_size)
    count, duration, sound = publish(job, views, frames, files.clip, beginning.provenance, progress)
    return AnimateResult(
        path=files.target.shown,
        frames=count,
        seconds=time.perf_counter() - began,
        rate=files.clip.info.rate,
        duration=duration,
        audio=sound,
        device=describe_device(animator.device),
        engine=animator.engine.name,
        precision=animator.engine.precision,
        checkpoint_sha256=animator.checkpoint_sha256,
        best_frame=beginning.best_frame,
        visualization=views[1][0].shown if job.visualize else None,
        source_crop=str(beginning.crop) if beginning.crop else None,
        driving_crop=str(driving.crop) if driving.crop else None,
    )


def publish(
    job: AnimateJob,
    views: Sequence[tuple[Target, View]],
    frames: Generator[AnimatedFrame, None, None],
    clip: Clip,
    metadata: dict[str, str],
    progress: Progress,
) -> tuple[int, Fraction, bool]:
    """Write every view of the frames to its target; returns their number, duration and whether there is sound."""
    with ExitStack() as publishing:
        parts = [(publishing.enter_context(place.publishing()), view) for place, view in views]
        count, duration = _write(frames, parts, clip, metadata, job.crf, progress)
        sound = job.audio and _add_sound(clip, parts[0][0], duration)
    return count, duration, sound


def _result_view(job: AnimateJob, beginning: Beginning, picture: np.ndarray) -> View:
    """What the result shows: the animated picture, or the whole source with it pasted back."""
    if not job.paste_back:
        return lambda frame: frame.image
    region = beginning.crop or fitted_region(picture.shape, beginning.source.shape[:2], job.fit)
    paste = PasteBack(picture, region, beginning.source)
    return lambda frame: paste(frame.image)


def _choose_initial(
    job: AnimateJob, animator: Animator, driving: Driving, source: np.ndarray, progress: Progress
) -> int:
    """Index of the driving frame that stands for the source's own pose."""
    if not job.find_best_frame:
        return job.best_frame or 0
    picture = np.rint(source * 255).astype(np.uint8)
    with ExitStack() as opened:
        for detect, what in _detectors(job, animator, driving, opened):
            poses = _counted(driving.poses(what, detect), "best frame", driving.clip.info.frame_count, progress)
            best = find_best_frame(detect(picture), poses)
            if best is not None:
                logger.info("best frame: %d (by %s)", best, what)
                return best
            logger.warning("no %s found to compare the source with the driving video by", what)
    return 0


def _detectors(
    job: AnimateJob, animator: Animator, driving: Driving, opened: ExitStack
) -> Iterator[tuple[Detector, str]]:
    """Ways to compare poses, the best first."""
    if job.face_backend != "builtin" and driving.has_pictures:
        try:
            finder = opened.enter_context(open_finder(job.face_backend, str(animator.device), landmarks=True))
            yield landmark_detector(finder), "face landmarks"
        except InputError:
            raise
        except FommError as error:
            logger.warning("%s; comparing the model's own key points instead", error)
    yield lambda picture: animator.detect(picture[None]).value[0].cpu().numpy(), KEY_POINTS


def animated_frames(
    driving: Driving, animation: Animation, start: int = 0, stop: int | None = None
) -> Generator[AnimatedFrame, None, None]:
    """Animate the driving frames from `start` to `stop`, exclusive."""
    with ExitStack() as running:
        coming, shown = tee(running.enter_context(closing(driving.batches(start, stop))))
        results = running.enter_context(closing(animation.render_all(batch.motion for batch in coming)))
        for rendered, batch in zip(results, shown, strict=True):
            pictures = batch.motion if isinstance(batch.motion, np.ndarray) else None
            for index, moment in enumerate(batch.moments):
                looked_at = None if pictures is None else (pictures[index], rendered.key_points[index])
                yield AnimatedFrame(moment, rendered.images[index], looked_at)


def _counted(items: Iterator[T], stage: str, total: int | None, progress: Progress) -> Iterator[T]:
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)


def _write(
    frames: Generator[AnimatedFrame, None, None],
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
            pictures = [view(animated) for _, view in parts]
            if not writers:
                writers = [
                    writing.enter_context(open_writer(part, picture.shape[:2], clip.info.rate, metadata, crf))
                    for (part, _), picture in zip(parts, pictures, strict=True)
                ]
            for writer, picture in zip(writers, pictures, strict=True):
                writer.write(picture, animated.moment.time, animated.moment.duration)
            count += 1
            end = animated.moment.time + (animated.moment.duration or 1 / clip.info.rate)
            progress("animating", count, clip.info.frame_count)
    return count, end


class _Comparison:
    """Source, driving frame and result side by side, with key points on the first two."""

    def __init__(self, source: np.ndarray, animation: Animation, params: VisualizerParams) -> None:
        self._params = params
        points = animation.key_points.value[0].cpu().numpy()
        self._source = draw_key_points(np.rint(source * 255).astype(np.uint8), points, params.kp_size)

    def __call__(self, frame: AnimatedFrame) -> np.ndarray:
        if frame.driving is None:
            raise ValueError("the driving frame is not at hand")
        driving = draw_key_points(*frame.driving, self._params.kp_size)
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
        "engine": animator.engine.name,
        "precision": animator.engine.precision,
        "fit": job.fit,
        "paste_back": job.paste_back,
    }
    return {"title": "Synthetic media: animated with fomm", "comment": json.dumps(made_by)}
