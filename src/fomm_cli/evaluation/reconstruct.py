"""`fomm reconstruct` and `fomm evaluate`: the paper's reconstruction protocol (section 4).

Every test video is rebuilt from its first frame and its own motion, so each frame has a known correct result.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import numpy as np

from fomm_cli.animation.animation import Animation
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.autocrop import is_about_faces
from fomm_cli.animation.best_frame import PointDetector, landmark_detector
from fomm_cli.errors import FommError, InputError
from fomm_cli.evaluation.metrics import MeanMetrics, Metrics, feature_distance, mean_metrics
from fomm_cli.evaluation.options import EvaluateJob, ReconstructJob
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.files.guard import protect_inputs
from fomm_cli.files.inputs import is_there
from fomm_cli.files.tables import write_csv
from fomm_cli.media.formats import IMAGES_READ
from fomm_cli.media.resize import Size, fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.threads import batched
from fomm_cli.training.dataset import find_videos, open_video
from fomm_cli.training.perceptual import load_perceptual
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

COPY = "copy of the source"
_TABLE, _MEANS = "evaluation.csv", "evaluation.json"
_RATE = Fraction(25)  # of the videos written; the frames matter, not their times

Reconstructor = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A function of the first frame (H, W, 3) and some frames (B, H, W, 3) that returns reconstructions, all uint8."""


@dataclass(frozen=True)
class ReconstructResult:
    """The result of `fomm reconstruct`.

    Attributes:
        path: folder with the videos.
        videos: number of videos.
        frames: number of frames of all videos.
        l1: mean absolute difference of pixels in [0, 1], averaged over the videos as in the paper.
        seconds: duration of the work.
    """

    path: Path
    videos: int
    frames: int
    l1: float
    seconds: float


@dataclass(frozen=True)
class EvaluateResult:
    """The result of `fomm evaluate`.

    Attributes:
        path: folder with `evaluation.json` and `evaluation.csv`.
        videos: number of videos.
        frames: number of frames of all videos.
        scores: means over the videos, by model; the model itself first, then what it is compared with.
    """

    path: Path
    videos: int
    frames: int
    scores: dict[str, Metrics]


def reconstruct(job: ReconstructJob, progress: Progress = silent) -> ReconstructResult:
    """Rebuild test videos, and write source, driving and rebuilt frames beside one another.

    Raises:
        FommError: what went wrong, and what to do.
    """
    began = time.perf_counter()
    animator = Animator.load(job.checkpoint, job.config, device=job.device, progress=progress)
    videos = _test_videos(job.root_dir, animator.config.reconstruction_params.num_videos)
    make_folder(job.output)
    suffix, rebuild = animator.config.reconstruction_params.format, _rebuilding(animator)
    read = (job.root_dir, job.checkpoint, job.config, *videos)
    protect_inputs(read, (job.output / f"{path.stem}{suffix}" for path in videos))
    errors: list[float] = []
    frames = 0
    for number, path in enumerate(videos):
        metrics = MeanMetrics()
        metadata = {
            "title": "Synthetic media: reconstructed with fomm",
            "comment": json.dumps({"synthetic": True, "tool": "fomm", "version": __version__}),
        }
        height, width = animator.size
        with replacing(job.output / f"{path.stem}{suffix}") as part, ExitStack() as writing:
            writer = writing.enter_context(open_writer(part, (height, 3 * width), _RATE, metadata))
            for first, batch in _batches(path, animator, job.max_frames):
                for driving, rebuilt in zip(batch, rebuild(first, batch), strict=True):
                    metrics.add(driving, rebuilt)
                    writer.write(np.concatenate((first, driving, rebuilt), axis=1), frames / _RATE, None)
                    frames += 1
        errors.append(metrics.means().l1)
        progress("reconstructing", number + 1, len(videos))
    return ReconstructResult(job.output, len(videos), frames, float(np.mean(errors)), time.perf_counter() - began)


def evaluate(job: EvaluateJob, progress: Progress = silent) -> EvaluateResult:
    """Measure how well a model rebuilds test videos, beside copying the source and beside another model.

    Raises:
        FommError: what went wrong, and what to do.
    """
    animator = Animator.load(job.checkpoint, job.config, device=job.device, progress=progress)
    models: dict[str, Reconstructor] = {"this model": _rebuilding(animator), COPY: _copying}
    if job.previous is not None:
        previous = Animator.load(job.previous, device=job.device, progress=progress)
        if previous.size != animator.size:
            raise InputError(
                f"{job.previous} works on frames of another size", "Compare models of one dataset_params.frame_shape"
            )
        models["previous model"] = _rebuilding(previous)
    features = None
    if job.perceptual is not None:
        features = feature_distance(load_perceptual(job.perceptual), animator.device)
    videos = _test_videos(job.root_dir, animator.config.reconstruction_params.num_videos)
    make_folder(job.output)
    read = (job.root_dir, job.checkpoint, job.config, job.previous, job.perceptual, *videos)
    protect_inputs(read, (job.output / name for name in (_TABLE, _MEANS)))
    rows: list[tuple[str, str, Metrics]] = []
    frames = 0
    with ExitStack() as opened:
        landmarks = _landmarks(animator, opened)
        for number, path in enumerate(videos):
            metrics = {name: MeanMetrics(features, landmarks) for name in models}
            for first, batch in _batches(path, animator, job.max_frames):
                points = [landmarks(frame) if landmarks else None for frame in batch]
                for name, model in models.items():
                    for driving, rebuilt, marks in zip(batch, model(first, batch), points, strict=True):
                        metrics[name].add(driving, rebuilt, marks)
                frames += len(batch)
            rows += [(path.name, name, metrics[name].means()) for name in models]
            progress("evaluating", number + 1, len(videos))
    scores = {model: mean_metrics([scores for _, name, scores in rows if name == model]) for model in models}
    _write(job.output, rows, scores)
    return EvaluateResult(job.output, len(videos), frames, scores)


def _landmarks(animator: Animator, opened: ExitStack) -> PointDetector | None:
    """Return a face landmark detector for models of faces; None, with a message, where none works."""
    if not is_about_faces(animator.config):
        return None
    try:
        return landmark_detector(opened.enter_context(open_detector("mediapipe")))
    except FommError as error:
        logger.info("measuring no keypoint distance (akd, mkr): %s", error)
        return None


def _rebuilding(animator: Animator) -> Reconstructor:
    """Return a function that applies the absolute motion of each frame to the first one."""
    latest: list[tuple[np.ndarray, Animation]] = []

    def rebuild(first: np.ndarray, frames: np.ndarray) -> np.ndarray:
        if not latest or latest[0][0] is not first:  # one source for all the frames of a video
            source = first.astype(np.float32) / 255
            latest[:] = [(first, animator.start(source, first, relative=False, adapt_scale=False))]
        animation = latest[0][1]
        return animation.images(animation.detect(frames))

    return rebuild


def _copying(first: np.ndarray, frames: np.ndarray) -> np.ndarray:
    return np.broadcast_to(first, frames.shape)


def _batches(path: Path, animator: Animator, max_frames: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the first frame with batches of all frames (B, H, W, 3), the first among them."""
    with closing(_frames(path, animator.size)) as frames:
        first = next(frames)
        for batch in batched(islice(chain([first], frames), max_frames), animator.batch_size):
            yield first, np.stack(batch)


def _frames(path: Path, size: Size) -> Generator[np.ndarray, None, None]:
    if path.suffix.lower() in IMAGES_READ:
        video = open_video(path, size)
        yield from video.read(range(video.count))
        return
    for frame in open_clip(path).frames():
        yield fit_frame(frame.image, size, "stretch")


def _test_videos(root: Path, most: int) -> list[Path]:
    tests = root / "test"
    return find_videos(tests if is_there(tests) and tests.is_dir() else root)[:most]


def _write(folder: Path, rows: list[tuple[str, str, Metrics]], means: dict[str, Metrics]) -> None:
    """Write a CSV file of every video and a JSON file of the means."""
    columns = ["video", "model", *asdict(rows[0][2])]
    write_csv(folder / _TABLE, columns, ([video, model, *asdict(scores).values()] for video, model, scores in rows))
    with replacing(folder / _MEANS) as part:
        data = {model: asdict(scores) for model, scores in means.items()}
        part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
