"""Write a result: what each of its files shows of every frame, the audio, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from fomm_cli.animation.animation import AnimatedFrame, Animation
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.template import MotionTemplate
from fomm_cli.config.schema import Config, VisualizerParams
from fomm_cli.faces.options import FaceGroup
from fomm_cli.files.hashing import sha256_of
from fomm_cli.geometry import Region
from fomm_cli.marks.credentials import sign
from fomm_cli.marks.stamp import stamp_for
from fomm_cli.media.alpha import as_rgb
from fomm_cli.media.background import Background
from fomm_cli.media.destination import Target
from fomm_cli.media.drawing import draw_keypoints, side_by_side
from fomm_cli.media.paste import PasteBack, fitted_region
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.audio import add_audio
from fomm_cli.media.video.reader import Clip
from fomm_cli.media.video.writer import FrameWriter, open_writer
from fomm_cli.progress import Progress
from fomm_cli.version import __version__

View = Callable[[AnimatedFrame], np.ndarray]
"""The image, uint8 (H, W, 3) or (H, W, 4), that a file shows of an animated frame."""


@dataclass(frozen=True)
class Published:
    """A result that is written and in its place.

    Attributes:
        frames: number of frames.
        duration: in seconds.
        audio: whether it has audio.
    """

    frames: int
    duration: Fraction
    audio: bool


def result_views(
    job: AnimateJob,
    target: Target,
    whole: np.ndarray,
    source: np.ndarray,
    crop: Region | None,
    animation: Animation,
    config: Config,
    background: Background | None = None,
) -> list[tuple[Target, View]]:
    """List the files to write and what each shows: the result, then the comparison where it was asked for.

    Args:
        job: says which views.
        target: of the result.
        whole: the source image as it was given, uint8 (H, W, 3), or (H, W, 4) where it is transparent.
        source: the source as the model sees it, float32 (height, width, 3) in [0, 1].
        crop: the part of `whole` that it shows; None for all of it.
        animation: of the source.
        config: of the model.
        background: shows through where the result is transparent; None leaves it so.
    """
    result: View = shown
    if job.paste_back:
        paste = PasteBack(whole, crop or fitted_region(whole.shape, source.shape[:2], job.fit), source)
        result = lambda frame: paste(frame.image)  # noqa: E731 - a view like the others
    views = [(target, with_background(result, background))]
    if job.visualize:
        views.append((target.beside("visualization"), _Comparison(source, animation, config.visualizer_params)))
    return views


def with_background(view: View, background: Background | None) -> View:
    """Return a view with a background behind it, where there is one."""
    return view if background is None else lambda frame: background(view(frame))


def publish(
    job: AnimateJob,
    views: Sequence[tuple[Target, View]],
    frames: Generator[AnimatedFrame, None, None],
    footage: Clip | MotionTemplate,
    metadata: dict[str, str],
    checkpoint_sha256: str,
    progress: Progress,
) -> Published:
    """Mark every view of the frames and write it to its target, whole or not at all.

    Args:
        job: says how the result is marked and encoded, and whether it gets the driving video's audio.
        views: the result first.
        frames: closed at the end.
        footage: the driving video.
        metadata: texts to store in the files.
        checkpoint_sha256: of the weights, in hex.
        progress: told of the frames.
    """
    with ExitStack() as publishing:
        parts = [
            (publishing.enter_context(target.publishing()), _stamped(view, job, target, checkpoint_sha256))
            for target, view in views
        ]
        texts = {} if job.mark == "none" else metadata
        count, duration = _write(frames, parts, footage, texts, job.crf, progress)
        audio = job.audio and _add_audio(job.driving_video, footage.offset, parts[0][0], duration)
        if job.c2pa:
            inputs = _inputs(job, checkpoint_sha256)
            for part, _ in parts:
                sign(part, inputs, job.c2pa_cert, job.c2pa_key)
    return Published(count, duration, audio)


def _inputs(job: AnimateJob, checkpoint_sha256: str) -> dict[str, str]:
    """Return what a result is made of, by hash; a folder of frames has none."""
    files = {"source image": job.source_image, "driving video": job.driving_video}
    if isinstance(job.face, FaceGroup):
        files |= {f"driving video of face {number}": path for number, path in job.face.drivers if path is not None}
    hashes = {name: sha256_of(path) for name, path in files.items() if path.is_file()}
    return {**hashes, "model": checkpoint_sha256}


def _stamped(view: View, job: AnimateJob, target: Target, checkpoint_sha256: str) -> View:
    """Return a view with the marks of the job; frames in files of their own keep their exact values."""
    invisible = job.mark == "all" and target.kind != "frames"
    stamp = stamp_for(checkpoint_sha256, invisible=invisible, label=job.label)
    return lambda frame: stamp(view(frame))


def shown(frame: AnimatedFrame) -> np.ndarray:
    """Return the image of a frame as it is; a `View`."""
    return frame.image


def _write(
    frames: Generator[AnimatedFrame, None, None],
    parts: list[tuple[Path, View]],
    footage: Clip | MotionTemplate,
    metadata: dict[str, str],
    crf: int | None,
    progress: Progress,
) -> tuple[int, Fraction]:
    """Write every frame to every part; returns how many there were, and how long they last."""
    writers: list[FrameWriter] = []
    count, end = 0, Fraction(0)
    with closing(frames), ExitStack() as writing:
        for frame in frames:
            images = [view(frame) for _, view in parts]
            if not writers:
                writers = [
                    writing.enter_context(_writer(part, image, footage.info.rate, metadata, crf))
                    for (part, _), image in zip(parts, images, strict=True)
                ]
            for writer, image in zip(writers, images, strict=True):
                writer.write(image, frame.time, frame.duration)
            count += 1
            end = frame.time + (frame.duration or 1 / footage.info.rate)
            progress("animating", count, footage.info.frame_count)
    return count, end


def _writer(part: Path, image: np.ndarray, rate: Fraction, metadata: dict[str, str], crf: int | None) -> FrameWriter:
    """Open the writer for frames like the first one, uint8 (H, W, 3) or (H, W, 4)."""
    size = image.shape[0], image.shape[1]
    return open_writer(part, size, rate, metadata, crf, alpha=image.shape[2] == 4)


class _Comparison:
    """Draw source, driving frame and result side by side, with keypoints on the first two."""

    def __init__(self, source: np.ndarray, animation: Animation, params: VisualizerParams) -> None:
        self._params = params
        keypoints = animation.keypoints.value[0].cpu().numpy()
        self._source = draw_keypoints(np.rint(source * 255).astype(np.uint8), keypoints, params.kp_size)

    def __call__(self, frame: AnimatedFrame) -> np.ndarray:
        if frame.driving is None or frame.keypoints is None:
            raise ValueError("the driving frame was not kept")
        driving = draw_keypoints(frame.driving, frame.keypoints, self._params.kp_size)
        result = as_rgb(frame.image, "the result")
        size = (result.shape[0], result.shape[1])
        shown = [fit_frame(image, size, "stretch") for image in (self._source, driving)]
        return side_by_side([*shown, result], border=self._params.draw_border)


def _add_audio(driving_video: Path, offset: Fraction, part: Path, duration: Fraction) -> bool:
    """Add the driving video's audio to the result; without it, the result stays as it is."""
    voiced = part.with_name(f"{part.stem}.audio{part.suffix}")
    try:
        if not add_audio(part, driving_video, voiced, offset, duration):
            return False
        voiced.replace(part)
    finally:
        voiced.unlink(missing_ok=True)
    return True


def provenance(job: AnimateJob, animator: Animator, initial: int) -> dict[str, str]:
    """Build the texts that mark a result as synthetic and say how it was made; no paths, which may be private."""
    made_by = {
        "synthetic": True,
        "tool": "fomm",
        "version": __version__,
        "checkpoint_sha256": animator.checkpoint_sha256,
        "relative": job.relative,
        "adapt_scale": job.adapt_scale,
        "motion_scale": job.motion_scale,
        "smooth": job.smooth,
        "best_frame": initial,
        "align_corners": job.align_corners,
        "engine": animator.engine.name,
        "precision": animator.engine.precision,
        "fit": job.fit,
        "paste_back": job.paste_back,
        "size": job.size,
    }
    return {"title": "Synthetic media: animated with fomm", "comment": json.dumps(made_by)}
