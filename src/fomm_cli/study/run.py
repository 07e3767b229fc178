"""`fomm study`: make images, animate and score them, and write the report; finished work is kept."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.run import run_batch
from fomm_cli.errors import FommError, InterruptedByUserError
from fomm_cli.extras import require
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.framing import CENTRE, FACE_HEIGHT, Framing, framing_in
from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.files.hashing import sha256_of
from fomm_cli.files.inputs import check_exists
from fomm_cli.geometry import Box
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.video.reader import Clip, open_clip
from fomm_cli.models.bundled import bundled_checkpoint
from fomm_cli.models.download import with_checkpoint_file
from fomm_cli.progress import Progress, silent
from fomm_cli.scoring.measurements import FaceTrack
from fomm_cli.scoring.scorer import Report, Scorer
from fomm_cli.study.options import StudyJob
from fomm_cli.study.portraits import StudyImage, make_images
from fomm_cli.study.ratings import read_ratings
from fomm_cli.study.report import write_report
from fomm_cli.study.rows import NUMBERS, Row, Study
from fomm_cli.study.views import write_view
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

_STUDY = "study.json"


@dataclass(frozen=True)
class Contestant:
    """A model of the study, with its name in the report."""

    name: str
    checkpoint: Path | None
    config: str | None


@dataclass(frozen=True)
class Scene:
    """A driving video, and what is prepared with it for all models.

    Attributes:
        name: of the driving video, without suffix.
        path: of the driving video.
        clip: the driving video, opened.
        key: identifies its content.
        frames: number of its frames.
        scorers: of results, by the names of the models.
        images: to animate, framed like the driving face.
    """

    name: str
    path: Path
    clip: Clip
    key: str
    frames: int
    scorers: dict[str, Scorer]
    images: tuple[StudyImage, ...]


@dataclass(frozen=True)
class StudyResult:
    """The result of a study.

    Attributes:
        page: the report.
        results: number of scored results.
        failed: why other results are missing, by name.
        findings: the sentences of the report.
    """

    page: Path
    results: int
    failed: dict[str, str]
    findings: tuple[str, ...]


def study(job: StudyJob, progress: Progress = silent) -> StudyResult:
    """Make the images of a study, animate and score them, and write the report.

    Raises:
        InterruptedByUserError: Ctrl-C; finished results stay.
        FommError: nothing can be scored, or Matplotlib is missing.
    """
    require("charts")
    ratings = [] if job.ratings is None else read_ratings(job.ratings)
    if not job.driving_videos:
        done = Study.load(job.out / _STUDY)
    else:
        try:
            done = _work(job, progress)
        except KeyboardInterrupt:
            raise InterruptedByUserError("interrupted", "The same command continues from there") from None
        done.save(job.out / _STUDY)
    if not done.rows:
        name, why = next(iter(done.failed.items()))
        raise FommError(f"there is no result to score: {name}: {why}", "The same command tries them again")
    known = {row.result for row in done.rows}
    if unknown := sorted({rating.result for rating in ratings} - known):
        logger.warning(
            "%s rates %d result(s) that are not of this study, such as %s", job.ratings, len(unknown), unknown[0]
        )
    ratings = [rating for rating in ratings if rating.result in known]
    page, findings = write_report(job.out, done, ratings)
    return StudyResult(page, len(done.rows), done.failed, tuple(finding.text for finding in findings))


def _work(job: StudyJob, progress: Progress) -> Study:
    for image in job.source_images:
        check_exists(image)
    models = _models(job, progress)
    clips = {
        name: open_clip(path, max_frames=job.max_frames)
        for name, path in zip(_names(job.driving_videos), job.driving_videos, strict=True)
    }
    make_folder(job.out)
    with open_detector("mediapipe") as detector:
        scenes = [
            _prepare(job, name, path, clip, models, detector)
            for path, (name, clip) in zip(job.driving_videos, clips.items(), strict=True)
        ]
        results = {
            f"{model.name}/{scene.name}/{entry.path.stem}.mp4": (model, scene, entry)
            for model in models for scene in scenes for entry in scene.images
        }  # fmt: skip
        batch = BatchJob(
            tuple(_animate_job(job, name, *what) for name, what in results.items()),
            job.out / "results", overwrite=True, devices=(job.device,) * job.workers, threads=job.threads,
        )  # fmt: skip
        failed = run_batch(batch, progress).failed
        rows = []
        for done, (name, what) in enumerate(results.items(), start=1):
            if name not in failed:
                rows.append(_scored(job, name, *what))
            progress("scoring", done, len(results))
    return Study({scene.name: scene.frames for scene in scenes}, tuple(rows), failed)


def _prepare(
    job: StudyJob, name: str, path: Path, clip: Clip, models: Sequence[Contestant], detector: FaceDetector
) -> Scene:
    """Track the face of a driving video, and frame every image like it."""
    face = Scorer(clip, detector, partial(_load, models[0], job.device)).driving_face
    scorers = {
        model.name: Scorer(clip, detector, partial(_load, model, job.device), driving_face=face) for model in models
    }
    images = make_images(job, job.out / "images" / name, _driving_framing(face, clip), detector)
    key = sha256_of(path) if path.is_file() else str(path.resolve())
    return Scene(name, path, clip, key, len(face), scorers, tuple(images))


def _models(job: StudyJob, progress: Progress) -> list[Contestant]:
    if not job.checkpoints:
        return [Contestant("small", None, job.configs[0] if job.configs else None)]
    configs = list(job.configs) or [None]
    configs = configs * len(job.checkpoints) if len(configs) == 1 else configs
    models = [Contestant("", *each) for each in zip(job.checkpoints, configs, strict=True)]
    models = [with_checkpoint_file(model, progress) for model in models]
    names = _names([model.checkpoint for model in models if model.checkpoint is not None])
    return [replace(model, name=name) for name, model in zip(names, models, strict=True)]


def _names(paths: Sequence[Path]) -> list[str]:
    """Name files by their stems, and those with the same stem by their number too."""
    stems = [path.name.split(".")[0] for path in paths]  # of vox-cpk.pth.tar, too
    counts = Counter(stems)
    return [stem if counts[stem] == 1 else f"{stem}-{number}" for number, stem in enumerate(stems, start=1)]


def _load(model: Contestant, device: str) -> Animator:
    return Animator.load(model.checkpoint, model.config, device=device)


def _driving_framing(face: FaceTrack, driving: Clip) -> Framing:
    """Return how the driving face sits in its first frame; the framing of training data if there is no face."""
    if not face.seen.any():
        logger.warning("no face is found in the driving video: the portraits are framed as in training data")
        return Framing(FACE_HEIGHT, *CENTRE)
    points = face.landmarks[int(np.argmax(face.seen))]
    framing = framing_in(Box.around(points), Box(0, 0, driving.info.width, driving.info.height))
    if framing.is_off:
        logger.warning("the driving video is badly framed, since %s: crop it first with fomm crop", framing.why)
    return framing


def _animate_job(job: StudyJob, name: str, model: Contestant, scene: Scene, entry: StudyImage) -> AnimateJob:
    return AnimateJob(
        entry.path, scene.path, Path(name), checkpoint=model.checkpoint, config=model.config,
        max_frames=job.max_frames, crop="none",
    )  # fmt: skip


def _scored(job: StudyJob, name: str, model: Contestant, scene: Scene, entry: StudyImage) -> Row:
    """Score a result and write its view, unless an earlier run has kept both."""
    result = job.out / "results" / name
    remembered = job.out / "scores" / f"{name}.json"
    view = Path("views") / name
    key = _key(job, result, model, scene, entry)
    if (row := _remembered(remembered, key)) is not None and (job.out / view).exists():
        return row
    source = read_first_frame(entry.path)
    write_view(job.out / view, source, scene.clip, open_clip(result))
    report = scene.scorers[model.name].score(open_clip(result), source)
    row = _row(f"results/{name}", view.as_posix(), model, scene, entry, report)
    make_folder(remembered.parent)
    with replacing(remembered) as part:
        part.write_text(json.dumps({"key": key, "row": asdict(row)}), encoding="utf-8")
    return row


def _key(job: StudyJob, result: Path, model: Contestant, scene: Scene, entry: StudyImage) -> str:
    """Identify everything that the scores of a result depend on."""
    files = [sha256_of(path) for path in (result, entry.path, model.checkpoint or bundled_checkpoint())]
    names = [entry.group, entry.label, entry.portrait, scene.name, job.max_frames]
    return hashlib.sha256(json.dumps([__version__, scene.key, *files, *names]).encode()).hexdigest()


def _remembered(path: Path, key: str) -> Row | None:
    """Return the row that an earlier run kept under the same key; None where it has to be scored again."""
    from pydantic import TypeAdapter

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Row).validate_python(data["row"]) if data["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _row(result: str, view: str, model: Contestant, scene: Scene, entry: StudyImage, report: Report) -> Row:
    found = {"total": report.scores.total, **report.scores.parts}
    scores = {name: score for name in NUMBERS if (score := found[name]) is not None}
    return Row(
        result, view, model.name, scene.name, entry.group, entry.label, entry.portrait, entry.size,
        scores, report.scores.basis, report.scores.seen, report.distortion, report.scores.notes, entry.features,
    )  # fmt: skip
