"""Do the part of a batch that needs a model; models and driving keypoints are kept between units."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock

from fomm_cli.animation.animate import Files, animate_with, choose_initial, load_animator, prepare_source, start
from fomm_cli.animation.animation import AnimatedFrame
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.driving import Driving, open_driving
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.publish import provenance, publish, shown, with_background
from fomm_cli.animation.template import SUFFIX, MotionTemplate, open_footage_of
from fomm_cli.batch.journal import Outcome
from fomm_cli.batch.pool import PART, Failed, Finished, FramesDone, Unit
from fomm_cli.batch.thumbnail import thumbnail
from fomm_cli.errors import OutOfMemoryError
from fomm_cli.files.atomic import move_into_place, sync
from fomm_cli.media.video.lossless import read_lossless, write_lossless
from fomm_cli.media.video.reader import Clip
from fomm_cli.progress import Progress
from fomm_cli.runtime.child import sendable_error
from fomm_cli.runtime.device import choose_device, describe_device, prepare_process
from fomm_cli.runtime.precision import engine_of
from fomm_cli.runtime.threads import prefetch

_REMEMBERED = 8  # driving videos
_NOTES = "part.json"


def answer(worker: PairWorker, unit: Unit, folder: Path, report: FramesDone) -> Finished | Failed:
    """Run a unit, and return any error as a value."""
    try:
        return Finished(unit.number, worker.run(unit, folder, report))
    except Exception as error:  # noqa: BLE001 - one pair must not stop the rest
        problem = sendable_error(error)
        return Failed(unit.number, str(problem), may_pass=isinstance(problem, OutOfMemoryError))


class PairWorker:
    """Run units one after the other, with one model in memory at a time.

    Raises:
        InputError: there is no such device.
    """

    def __init__(self, device: str, threads: int | None, motion_folder: Path) -> None:
        prepare_process(threads)
        self._device = str(choose_device(device))
        self._other_device = "cpu" if device == "auto" else self._device  # of the engines that only run there
        self._motion_folder = motion_folder
        self._models: dict[tuple[object, ...], Animator] = {}
        self._drivings: dict[str, Driving] = {}

    def run(self, unit: Unit, folder: Path, report: FramesDone) -> Outcome:
        """Run a unit, and leave its files in a folder.

        Raises:
            FommError: the unit failed.
        """
        device = (
            self._device if engine_of(unit.job.engine, unit.job.precision) in {"auto", "torch"} else self._other_device
        )
        job = replace(unit.job, device=device, result_video=folder / str(unit.job.result_video))
        with _warnings() as warnings:
            if unit.task == "join":
                outcome = _join(job, unit.parts, report)
            elif unit.task == "range":
                outcome = self._range(job, unit, folder, report)
            else:
                outcome = self._whole(job, unit, folder, report)
        outcome = replace(outcome, warnings=tuple(dict.fromkeys([*outcome.warnings, *warnings])))
        if unit.task == "range":
            notes = {**json.loads((folder / _NOTES).read_text()), "warnings": outcome.warnings}
            (folder / _NOTES).write_text(json.dumps(notes))
        return outcome

    def _whole(self, job: AnimateJob, unit: Unit, folder: Path, report: FramesDone) -> Outcome:
        animator = self._animator(job)
        driving = self._driving(job, unit.driving_key, animator, folder)
        files = Files.open(job, driving.footage)
        result = animate_with(job, animator, driving, files, _animating(report))
        small = thumbnail(result.path)
        return Outcome(result.frames, result.seconds, result.device, result.checkpoint_sha256, (), small)

    def _range(self, job: AnimateJob, unit: Unit, folder: Path, report: FramesDone) -> Outcome:
        animator = self._animator(job)
        driving = self._driving(job, unit.driving_key, animator, folder)
        began = time.perf_counter()
        source = prepare_source(job, animator, Files.open(job, driving.footage))
        initial = choose_initial(job, animator, driving, source, _animating(report))
        animation = start(job, animator, driving, source, initial)
        batches = driving.batches(unit.start, unit.stop)
        frames = prefetch(animation.frames(batches), depth=2 * animator.batch_size)
        with closing(frames):
            images = (frame.image for frame in _reported(frames, report))
            count = write_lossless(folder / PART, source.size, images, alpha=source.is_transparent)
        seconds = time.perf_counter() - began
        outcome = Outcome(count, seconds, describe_device(animator.device), animator.checkpoint_sha256)
        notes = {**asdict(outcome), "thumbnail": "", "provenance": provenance(job, animator, initial)}
        (folder / _NOTES).write_text(json.dumps(notes))
        return outcome

    def _animator(self, job: AnimateJob) -> Animator:
        wanted = (job.checkpoint, job.config, job.align_corners, job.engine, job.precision)
        if wanted not in self._models:
            self._models.clear()  # before loading the next: two may not fit into memory
            self._drivings.clear()
            self._models[wanted] = load_animator(job)
        return self._models[wanted]

    def _driving(self, job: AnimateJob, key: str, animator: Animator, folder: Path) -> Driving:
        if job.visualize:  # shows the driving frames, so it has to read them
            return open_driving(job, animator, open_footage_of(job))
        if key not in self._drivings:
            known = self._motion(job, key, animator, folder)
            self._drivings[key] = open_driving(job, animator, open_footage_of(job), known=known)
            if len(self._drivings) > _REMEMBERED:
                del self._drivings[next(iter(self._drivings))]
        return self._drivings[key]

    def _motion(self, job: AnimateJob, key: str, animator: Animator, folder: Path) -> MotionTemplate:
        """Return the driving keypoints, detected by the first worker that needs them and kept for all others."""
        path = self._motion_folder / f"{key}-{animator.device.type}{SUFFIX}"
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                part = folder / path.name
                open_driving(job, animator, open_footage_of(job)).record().save(part)
                sync(part)
                move_into_place(part, path)
        return MotionTemplate.load(path)


def _join(job: AnimateJob, parts: tuple[Path, ...], report: FramesDone) -> Outcome:
    """Join the frames of all parts to the result, with the times and the audio of the driving video."""
    began = time.perf_counter()
    files = Files.open(job)
    notes = [json.loads((part / _NOTES).read_text()) for part in parts]
    filled = [part / PART for part, note in zip(parts, notes, strict=True) if note["frames"]]
    frames = _joined(files.footage, filled)
    views = [(files.target, with_background(shown, files.background))]
    first = notes[0]
    published = publish(job, views, frames, files.footage, first["provenance"], first["checkpoint"], _animating(report))
    return Outcome(
        published.frames,
        sum(note["seconds"] for note in notes) + time.perf_counter() - began,
        first["device"],
        first["checkpoint"],
        tuple(warning for note in notes for warning in note["warnings"]),
        thumbnail(files.target.shown),
    )


def _joined(footage: Clip | MotionTemplate, parts: list[Path]) -> Generator[AnimatedFrame, None, None]:
    images = (image for part in parts for image in read_lossless(part))
    for moment, image in zip(footage.moments(), images, strict=True):
        yield AnimatedFrame(moment.time, moment.duration, image)


def _reported(frames: Iterator[AnimatedFrame], report: FramesDone) -> Iterator[AnimatedFrame]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        report(done)


def _animating(report: FramesDone) -> Progress:
    """Return a progress callback that reports only animated frames."""
    return lambda stage, done, _total: report(done) if stage == "animating" else None


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings that this package logs."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(" ".join(record.getMessage().split()))

    collector = Collector(logging.WARNING)
    logger = logging.getLogger("fomm_cli")
    logger.addHandler(collector)
    try:
        yield found
    finally:
        logger.removeHandler(collector)
