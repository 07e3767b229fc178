"""`fomm animate`: from the options to a file, step by step."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from fomm_cli.animation.animation import AnimatedFrame, Animation, Refine
from fomm_cli.animation.animator import REHEARSAL, Animator
from fomm_cli.animation.autocrop import choose_source_crop, find_group
from fomm_cli.animation.best_frame import PointDetector, find_best_frame, landmark_detector
from fomm_cli.animation.driving import KEYPOINTS, Driving, open_driving
from fomm_cli.animation.enlarge import enlarged
from fomm_cli.animation.group import Driver, GroupMember, animate_group, paste_of
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.publish import View, provenance, publish, result_views, shown
from fomm_cli.animation.template import MotionTemplate, check_options, is_motion, open_footage_of
from fomm_cli.animation.transfer import Smoother
from fomm_cli.animation.transparency import read_portrait, with_alpha
from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.options import FaceGroup
from fomm_cli.files.guard import protect_inputs
from fomm_cli.files.kind import identify
from fomm_cli.geometry import Region
from fomm_cli.marks.credentials import check_can_sign
from fomm_cli.media.background import Background
from fomm_cli.media.crop import cropped
from fomm_cli.media.destination import Target
from fomm_cli.media.resize import Size, fit_source
from fomm_cli.media.video.reader import Clip
from fomm_cli.progress import Progress, counted, silent
from fomm_cli.runtime.device import describe_device, prepare_process
from fomm_cli.runtime.threads import prefetch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnimateResult:
    """The result of `fomm animate`.

    Attributes:
        path: the result.
        frames: number of frames.
        seconds: from the first frame read to the file in place, without loading the model.
        rate: frames per second of the result.
        duration: of the result, in seconds.
        audio: whether it has audio.
        device: what the networks ran on.
        engine: what computed the frames.
        precision: in which precision.
        checkpoint_sha256: of the weights.
        best_frame: index of the initial driving frame.
        visualization: the file with the keypoints, if asked for.
        source_crop: the part of the source that was animated, such as ``400x400 at (12, -3)``; None for all of it.
        driving_crop: the part of the driving frames that was shown; None for all of them.
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


def animate(job: AnimateJob, progress: Progress = silent) -> AnimateResult:
    """Animate a source image by a driving video and write the result.

    Raises:
        FommError: what went wrong, and what to do.
    """
    prepare_process(job.threads)
    files = Files.open(job)
    animator = load_animator(job, progress, files.footage.info.frame_count)
    driving = open_driving(job, animator, files.footage, progress)
    return animate_with(job, animator, driving, files, progress)


def animate_with(
    job: AnimateJob, animator: Animator, driving: Driving, files: Files, progress: Progress = silent
) -> AnimateResult:
    """Animate with a model and a driving video that are open, and may serve other jobs too."""
    began = time.perf_counter()
    prepare = _group if isinstance(job.face, FaceGroup) else _one_face
    scene = prepare(job, animator, driving, files, progress)
    made_by = provenance(job, animator, scene.initial)
    published = publish(job, scene.views, scene.frames, files.footage, made_by, animator.checkpoint_sha256, progress)
    return AnimateResult(
        path=files.target.shown,
        frames=published.frames,
        seconds=time.perf_counter() - began,
        rate=files.footage.info.rate,
        duration=published.duration,
        audio=published.audio,
        device=describe_device(animator.device),
        engine=animator.engine.name,
        precision=animator.engine.precision,
        checkpoint_sha256=animator.checkpoint_sha256,
        best_frame=scene.initial,
        visualization=scene.views[1][0].shown if job.visualize else None,
        source_crop=scene.source_crop,
        driving_crop=str(driving.crop) if driving.crop else None,
    )


@dataclass(frozen=True)
class _Scene:
    """An animation that is ready to be published.

    Attributes:
        frames: of the result.
        views: the files to write, and what each shows.
        initial: index of the initial driving frame.
        source_crop: the part of the source that is animated, in words; None for all of it.
    """

    frames: Generator[AnimatedFrame, None, None]
    views: list[tuple[Target, View]]
    initial: int
    source_crop: str | None


def _one_face(job: AnimateJob, animator: Animator, driving: Driving, files: Files, progress: Progress) -> _Scene:
    source = prepare_source(job, animator, files)
    initial = choose_initial(job, animator, driving, source, progress)
    animation = start(job, animator, driving, source, initial)
    views = result_views(
        job, files.target, files.whole, source.image, source.crop, animation, animator.config, files.background
    )
    frames = prefetch(animation.frames(driving.batches()), depth=2 * animator.batch_size)
    return _Scene(frames, views, initial, str(source.crop) if source.crop else None)


def _group(job: AnimateJob, animator: Animator, driving: Driving, files: Files, progress: Progress) -> _Scene:
    if not isinstance(job.face, FaceGroup):
        raise TypeError("one face is no group")
    faces = find_group(job, job.face, animator.config, str(animator.device), files.image)
    leads = {job.driving_video: _Lead(job, driving, None)}
    for path, footage in files.drivers.items():
        leads[path] = _Lead.open(_driver_job(job, path, files.footage.info.rate), animator, footage, progress)
    of_face = dict(job.face.drivers)
    members: list[GroupMember] = []
    for face in reversed(faces):  # larger ones are in front
        if face.crop is not None:
            lead = leads[of_face.get(face.number) or job.driving_video]
            source = _source(job, animator, files, face.crop)
            initial = choose_initial(lead.job, animator, lead.driving, source, progress)
            animation = start(replace(lead.job, smooth=False), animator, lead.driving, source, initial)
            members.append(GroupMember(animation, paste_of(files.image, face, faces, source.image), lead.driver))
    frames = animate_group(members, driving, animator, smooth=job.smooth)
    crops = "; ".join(str(face.crop) for face in faces if face.crop is not None)
    return _Scene(frames, [(files.target, shown)], initial, crops)


@dataclass(frozen=True)
class _Lead:
    """A driving motion of a group, and the faces that follow it.

    Attributes:
        job: the options that it is opened with.
        driving: the motion.
        driver: follows it in time; None for the driving video of the group, which sets the time.
    """

    job: AnimateJob
    driving: Driving
    driver: Driver | None

    @classmethod
    def open(cls, job: AnimateJob, animator: Animator, footage: Clip | MotionTemplate, progress: Progress) -> _Lead:
        driving = open_driving(job, animator, footage, progress)
        driver = Driver(driving, animator, smooth=job.smooth, repeats=is_motion(job.driving_video))
        return cls(job, driving, driver)


def _driver_job(job: AnimateJob, path: Path, rate: Fraction) -> AnimateJob:
    """Return the options of a face with a driver of its own; a motion of the package is repeated as it is.

    Args:
        job: of the group.
        path: the driver.
        rate: frames per second of the result.
    """
    job = replace(job, driving_video=path, face=None, audio=False, duration=None, max_frames=None)
    if not is_motion(path):
        return job
    return replace(job, start=0.0, end=None, fps=rate, find_best_frame=False, best_frame=None, crop="source")


@dataclass(frozen=True)
class Files:
    """The files of a job, opened and checked before the model is loaded.

    Attributes:
        footage: the driving video, or the motion template in its place.
        target: where the result goes.
        drivers: what drives single faces, where that is not the driving video.
        image: the source, uint8 (H, W, 3) of any size.
        alpha: of the source, uint8 (H, W); None where it is opaque, or laid over white.
        background: what is to show through; None leaves the result transparent.
    """

    footage: Clip | MotionTemplate
    target: Target
    drivers: dict[Path, Clip | MotionTemplate]
    image: np.ndarray
    alpha: np.ndarray | None = None
    background: Background | None = None

    @property
    def whole(self) -> np.ndarray:
        """Return the source with its alpha channel, if it has one: uint8 (H, W, 3) or (H, W, 4)."""
        return self.image if self.alpha is None else np.dstack([self.image, self.alpha])

    @classmethod
    def open(cls, job: AnimateJob, footage: Clip | MotionTemplate | None = None) -> Files:
        """Open the files of a job.

        Args:
            job: names them.
            footage: the driving video, where it is open already.

        Raises:
            InputError: one of them cannot be read, or the result cannot be written to its place.
        """
        check_options(job)
        footage = footage or open_footage_of(job)
        if footage.info.still and identify(job.source_image) == "video":
            raise InputError(
                "the source is a video and the driving video an image: are they swapped?",
                "Give the image as --source_image and the video as --driving_video",
            )
        target = Target.of(job.result_video, still=footage.info.still)
        beside = target.beside("visualization").path if job.visualize else None
        keys = (job.c2pa_cert, job.c2pa_key)
        read = (job.source_image, job.driving_video, job.checkpoint, job.config, job.background_image, *keys)
        drivers = _open_drivers(job, footage.info.rate)
        protect_inputs((*read, *drivers), (target.path, beside))
        if job.c2pa:
            check_can_sign(target.path, job.c2pa_cert, job.c2pa_key)
        return cls(footage, target, drivers, *read_portrait(job, target))


def _open_drivers(job: AnimateJob, rate: Fraction) -> dict[Path, Clip | MotionTemplate]:
    """Open what drives single faces of a group, apart from the driving video."""
    paths = job.face.own_drivers if isinstance(job.face, FaceGroup) else ()
    jobs = [_driver_job(job, path, rate) for path in paths if path != job.driving_video]
    for each in jobs:
        check_options(each)
    return {each.driving_video: open_footage_of(each) for each in jobs}


def load_animator(job: AnimateJob, progress: Progress = silent, frames: int | None = None) -> Animator:
    """Load the model that a job asks for, to animate so many frames."""
    return Animator.load(
        job.checkpoint,
        job.config,
        device=job.device,
        align_corners=job.align_corners,
        engine=job.engine,
        precision=job.precision,
        frames=frames,
        progress=progress,
    )


@dataclass(frozen=True)
class Source:
    """The source as the model sees it.

    Attributes:
        image: float32 (height, width, 3) in [0, 1], of the model's size.
        crop: the part of the source image that it shows; None for all of it.
        size: (height, width) of the images.
        refine: turns decoded frames into images of that size, and with alpha; None for the model's frames as they are.
        is_transparent: whether the images have an alpha channel.
    """

    image: np.ndarray
    crop: Region | None
    size: Size
    refine: Refine | None
    is_transparent: bool


def prepare_source(job: AnimateJob, animator: Animator, files: Files) -> Source:
    """Crop the source image to its face where that helps, and resize it for the model."""
    return _source(job, animator, files, choose_source_crop(job, animator.config, str(animator.device), files.image))


def _source(job: AnimateJob, animator: Animator, files: Files, crop: Region | None) -> Source:
    pasted = job.paste_back or isinstance(job.face, FaceGroup)
    wanted = "source" if pasted and job.size == "model" else job.size
    generator = animator.networks.generator
    larger = enlarged(files.image, crop, job.fit, wanted, animator.size, generator)
    size = animator.size if larger is None else larger.size
    refine: Refine | None = larger
    if files.alpha is not None:
        refine = with_alpha(files.alpha, crop, job.fit, animator.size, larger, generator)
    image = fit_source(cropped(files.image, crop), animator.size, job.fit)
    return Source(image, crop, size, refine, files.alpha is not None)


def start(job: AnimateJob, animator: Animator, driving: Driving, source: Source, initial: int) -> Animation:
    """Encode the source and prepare the transfer of the motion since the initial driving frame.

    Raises:
        InputError: there is no such driving frame, or no frame at all.
    """
    return animator.start(
        source.image,
        driving.keypoints_of(initial),
        relative=job.relative,
        adapt_scale=job.adapt_scale,
        motion_scale=1.0 if _is_scaled(driving.footage) else job.motion_scale,
        smoother=Smoother(float(1 / driving.footage.info.rate)) if job.smooth else None,
        refine=source.refine,
        rehearsal=driving.rehearsal(REHEARSAL),
    )


def _is_scaled(footage: Clip | MotionTemplate) -> bool:
    """Return whether the keypoints contain --motion_scale already, as those of the package's motions do."""
    return isinstance(footage, MotionTemplate) and footage.has_named_keypoints


def choose_initial(job: AnimateJob, animator: Animator, driving: Driving, source: Source, progress: Progress) -> int:
    """Choose the initial driving frame, whose pose stands for the source's own; returns its index."""
    if not job.find_best_frame:
        return job.best_frame or 0
    image = np.rint(source.image * 255).astype(np.uint8)
    with ExitStack() as opened:
        for detect, kind in _point_detectors(job, animator, driving, opened):
            total = driving.footage.info.frame_count
            poses = counted(driving.poses(kind, detect), "best frame", total, progress)
            best = find_best_frame(detect(image), poses)
            if best is not None:
                logger.info("best frame: %d (by %s)", best, kind)
                return best
            logger.warning("no %s found to compare the source with the driving video by", kind)
    return 0


def _point_detectors(
    job: AnimateJob, animator: Animator, driving: Driving, opened: ExitStack
) -> Iterator[tuple[PointDetector, str]]:
    """Yield ways to compare poses, the best first."""
    if job.face_backend != "builtin" and driving.has_frames:
        try:
            detector = opened.enter_context(open_detector(job.face_backend, str(animator.device), landmarks=True))
            yield landmark_detector(detector), "face landmarks"
        except InputError:
            raise
        except FommError as error:
            logger.warning("%s; comparing the model's own keypoints instead", error)
    yield lambda image: animator.detect(image[None]).value[0].cpu().numpy(), KEYPOINTS
