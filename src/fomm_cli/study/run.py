"""`fomm study`: make images, animate and score them, and write the report; finished work is kept."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
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
    if job.driving_video is None:
        done = Study.load(job.out / _STUDY)
    else:
        try:
            done = _work(job, job.driving_video, progress)
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


def _work(job: StudyJob, driving_video: Path, progress: Progress) -> Study:
    driving = open_clip(driving_video, max_frames=job.max_frames)
    for image in job.source_images:
        check_exists(image)
    models = _models(job, progress)
    make_folder(job.out)
    with open_detector("mediapipe") as detector:
        face = Scorer(driving, detector, partial(_load, models[0], job.device)).driving_face
        scorers = {
            model.name: Scorer(driving, detector, partial(_load, model, job.device), driving_face=face)
            for model in models
        }
        entries = make_images(job, _driving_framing(face, driving), detector)
        pairs = {f"{model.name}/{entry.path.stem}.mp4": (model, entry) for model in models for entry in entries}
        results = job.out / "results"
        batch = BatchJob(
            tuple(_animate_job(job, driving_video, name, *pair) for name, pair in pairs.items()),
            results, overwrite=True, devices=(job.device,) * job.workers, threads=job.threads,
        )  # fmt: skip
        failed = run_batch(batch, progress).failed
        judge = _Judge(job, driving_video, driving, scorers)
        rows = []
        for done, (name, pair) in enumerate(pairs.items(), start=1):
            if name not in failed:
                rows.append(judge.row(name, *pair))
            progress("scoring", done, len(pairs))
    return Study(driving_video.name, len(face), tuple(rows), failed)


def _models(job: StudyJob, progress: Progress) -> list[Contestant]:
    if not job.checkpoints:
        return [Contestant("small", None, job.configs[0] if job.configs else None)]
    configs = list(job.configs) or [None]
    configs = configs * len(job.checkpoints) if len(configs) == 1 else configs
    models = [Contestant("", *each) for each in zip(job.checkpoints, configs, strict=True)]
    models = [with_checkpoint_file(model, progress) for model in models]
    stems = [
        str(model.checkpoint and model.checkpoint.name).split(".")[0] for model in models
    ]  # of vox-cpk.pth.tar, too
    counts = Counter(stems)
    names = [stem if counts[stem] == 1 else f"{stem}-{number}" for number, stem in enumerate(stems, start=1)]
    return [replace(model, name=name) for name, model in zip(names, models, strict=True)]


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


def _animate_job(job: StudyJob, driving_video: Path, name: str, model: Contestant, entry: StudyImage) -> AnimateJob:
    return AnimateJob(
        entry.path, driving_video, Path(name), checkpoint=model.checkpoint, config=model.config,
        max_frames=job.max_frames, crop="none",
    )  # fmt: skip


class _Judge:
    """Scores results, and keeps the scores in the study's folder."""

    def __init__(self, job: StudyJob, driving_video: Path, driving: Clip, scorers: dict[str, Scorer]) -> None:
        self._job = job
        self._driving = driving
        self._scorers = scorers
        self._driving_key = sha256_of(driving_video) if driving_video.is_file() else str(driving_video.resolve())

    def row(self, name: str, model: Contestant, entry: StudyImage) -> Row:
        """Return the scored row of a result; kept from an earlier run where nothing has changed."""
        result = self._job.out / "results" / name
        remembered = self._job.out / "scores" / f"{name}.json"
        view = Path("views") / name
        key = self._key(result, entry, model)
        if (row := _remembered(remembered, key)) is not None and (self._job.out / view).exists():
            return row
        source = read_first_frame(entry.path)
        write_view(self._job.out / view, source, self._driving, open_clip(result))
        report = self._scorers[model.name].score(open_clip(result), source)
        row = _row(f"results/{name}", view.as_posix(), model.name, entry, report)
        make_folder(remembered.parent)
        with replacing(remembered) as part:
            part.write_text(json.dumps({"key": key, "row": asdict(row)}), encoding="utf-8")
        return row

    def _key(self, result: Path, entry: StudyImage, model: Contestant) -> str:
        files = [sha256_of(path) for path in (result, entry.path, model.checkpoint or bundled_checkpoint())]
        names = [entry.group, entry.label, entry.portrait, self._job.max_frames]
        content = [__version__, self._driving_key, *files, *names]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _remembered(path: Path, key: str) -> Row | None:
    """Return the row that an earlier run kept under the same key; None where it has to be scored again."""
    from pydantic import TypeAdapter

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Row).validate_python(data["row"]) if data["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _row(result: str, view: str, model: str, entry: StudyImage, report: Report) -> Row:
    found = {"total": report.scores.total, **report.scores.parts}
    scores = {name: score for name in NUMBERS if (score := found[name]) is not None}
    return Row(
        result, view, model, entry.group, entry.label, entry.portrait, entry.size,
        scores, report.scores.basis, report.scores.seen, report.distortion, report.scores.notes, entry.features,
    )  # fmt: skip
