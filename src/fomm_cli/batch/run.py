"""Run a batch: hand out pairs, move results into place, note them in the journal, and survive failures."""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.journal import Decision, Journal, read_journal
from fomm_cli.batch.local_pool import ProcessPool
from fomm_cli.batch.names import check_inside
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.plan import Pair, plan
from fomm_cli.batch.pool import Advanced, Event, Failed, Finished, Unit, WorkerPool
from fomm_cli.batch.ranges import split_ranges
from fomm_cli.batch.report import write_reports
from fomm_cli.errors import FommError, InputError, InterruptedByUserError
from fomm_cli.faces.options import FaceGroup
from fomm_cli.files.atomic import move_into_place
from fomm_cli.progress import Progress, silent

logger = logging.getLogger(__name__)

_ATTEMPTS = 3  # for a unit whose failure may not happen again
_POLL = 1.0  # seconds between two checks of other runs
IN_THE_WAY = "there is a file {} already that was not made from these inputs and options. Add --overwrite"


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch.

    Attributes:
        done: number of results made now.
        skipped: number of results that existed, or that another run has made meanwhile.
        failed: the reason for each missing result, by name.
        frames: number of frames made now.
        seconds: duration of the batch.
        report: the page about all results in the folder.
    """

    done: int
    skipped: int
    failed: dict[str, str]
    frames: int
    seconds: float
    report: Path


@dataclass(frozen=True)
class PlannedPair:
    """A pair, and what a run would do with it: do, skip or fail."""

    name: str
    source: Path
    driving: Path
    frames: int | None
    action: str
    reason: str = ""


def dry_run(job: BatchJob, progress: Progress = silent) -> list[PlannedPair]:
    """Return what `run_batch` would do."""
    known = read_journal(job.result_dir)
    return [_foreseen(pair, known.get(pair.name), job) for pair in plan(job, progress)]


def _foreseen(pair: Pair, known: tuple[str, str] | None, job: BatchJob) -> PlannedPair:
    action, reason = "do", ""
    if pair.problem:
        action, reason = "fail", pair.problem
    elif (job.result_dir / pair.name).exists():
        if known == ("done", pair.key):
            action, reason = "skip", "done"
        elif not job.overwrite:
            action, reason = "fail", IN_THE_WAY.format(pair.name)
    return PlannedPair(pair.name, pair.job.source_image, pair.job.driving_video, pair.frames, action, reason)


def run_batch(job: BatchJob, progress: Progress = silent) -> BatchResult:
    """Make every result that is missing.

    Raises:
        InterruptedByUserError: Ctrl-C; finished results stay.
        FommError: no pair can be done. The failure of single pairs raises nothing.
    """
    pairs = plan(job, progress)
    journal = Journal(job.result_dir, overwrite=job.overwrite)
    run: _Run | None = None
    try:
        pool = _pool(job, journal, pairs)
        try:
            run = _Run(job, pairs, journal, pool, progress)
            run.work()
        finally:
            pool.close()
        report = write_reports(job.result_dir, journal.records())
        return run.result(report)
    except KeyboardInterrupt:
        done = run.done + run.skipped if run else 0
        raise InterruptedByUserError(
            f"interrupted; {done} of {len(pairs)} results are done", "The same command continues from there"
        ) from None
    except OSError as error:
        raise FommError(
            f"{job.result_dir} cannot be written to: {error.strerror}",
            "Free disk space; the same command then continues",
        ) from error
    finally:
        journal.close(all_done=run is not None and run.done + run.skipped == len(pairs))


def _pool(job: BatchJob, journal: Journal, pairs: Sequence[Pair]) -> WorkerPool:
    if job.cluster is None:
        return ProcessPool(job.devices, job.threads, journal.motion_folder)
    from fomm_cli.batch.ray_pool import RayPool

    frames = sum(pair.frames or 1 for pair in pairs)
    return RayPool(job, max(len(pairs), frames // job.range_frames))


@dataclass
class _Open:
    """A pair that is being worked on; `ranges` counts those without a part yet."""

    pair: Pair
    parts: list[Path] = field(default_factory=list)
    ranges: int = 0
    attempts: int = 0
    failed: bool = False


class _Run:
    """The state of a run. Only this process changes the journal and the results."""

    def __init__(
        self, job: BatchJob, pairs: Sequence[Pair], journal: Journal, pool: WorkerPool, progress: Progress
    ) -> None:
        self._job = job
        self._journal = journal
        self._pool = pool
        self._pairs = deque(pairs)
        self._waiting: deque[tuple[_Open, Unit]] = deque()
        self._running: dict[int, tuple[_Open, Unit]] = {}
        self._tries: dict[tuple[str, str, int], int] = {}
        self._numbers = 0
        self._bar = _Bar(pairs, progress)
        self._began = time.perf_counter()
        self.done = self.skipped = self._frames = 0
        self._failed: dict[str, str] = {}

    def result(self, report: Path) -> BatchResult:
        """Return the totals of the run."""
        seconds = time.perf_counter() - self._began
        return BatchResult(self.done, self.skipped, self._failed, self._frames, seconds, report)

    def work(self) -> None:
        """Work until every pair is done or has failed, here or in another run."""
        while True:
            self._hand_out()
            if not (self._running or self._waiting or self._pairs):
                return
            for event in self._pool.events(timeout=_POLL):  # or wait, while another run does the rest
                self._handle(event)

    def _hand_out(self) -> None:
        """Keep all slots busy."""
        for _ in range(len(self._pairs)):
            if len(self._waiting) + len(self._running) >= self._pool.slots:
                break
            self._claim(self._pairs.popleft())
        while self._waiting and len(self._running) < self._pool.slots:
            self._start(*self._waiting.popleft())

    def _claim(self, pair: Pair) -> None:
        if pair.problem:
            self._fail(_Open(pair), pair.problem)
            return
        decision = self._journal.claim(pair)
        if decision is Decision.OURS:
            self._open(pair)
        elif decision is Decision.ELSEWHERE:
            self._pairs.append(pair)
        elif decision is Decision.DONE:
            self.skipped += 1
            self._bar.leave_out(pair)
        elif decision is Decision.FAILED:
            self._failed[pair.name] = self._journal.error_of(pair)
            self._bar.leave_out(pair)
        else:
            self._fail(_Open(pair), IN_THE_WAY.format(pair.name))

    def _open(self, pair: Pair) -> None:
        """Make units of a pair: one, or ranges if it is long or if workers would stand idle."""
        opened = _Open(pair)
        others = len(self._pairs) + len(self._waiting) + len(self._running)
        shares = max(1, self._pool.slots // (others + 1))
        ranges = split_ranges(pair.frames, shares, self._job.range_frames) if _can_be_split(pair.job) else []
        folder = self._journal.parts_folder / pair.key
        for start, stop in ranges:
            part = folder / f"{start}-{stop or 'end'}"
            opened.parts.append(part)
            if not part.exists():
                opened.ranges += 1
                self._waiting.append((opened, replace(self._unit(pair), task="range", start=start, stop=stop)))
        if not ranges:
            self._waiting.append((opened, self._unit(pair)))
        elif not opened.ranges:
            self._join(opened)

    def _join(self, opened: _Open) -> None:
        self._waiting.append((opened, replace(self._unit(opened.pair), task="join", parts=tuple(opened.parts))))

    def _unit(self, pair: Pair) -> Unit:
        job = replace(pair.job, result_video=Path(Path(pair.name).name))
        return Unit(0, pair.name, pair.key, pair.driving_key, job)

    def _start(self, opened: _Open, unit: Unit) -> None:
        if opened.failed:  # another range of it failed
            return
        self._numbers += 1
        unit = replace(unit, number=self._numbers)
        opened.attempts += unit.task != "join"
        self._running[unit.number] = (opened, unit)
        folder = self._folder(unit)
        folder.mkdir()
        self._pool.start(unit, folder)

    def _folder(self, unit: Unit) -> Path:
        return self._journal.folder / str(unit.number)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Advanced):
            self._bar.advance(self._running[event.number][1], event.frames)
            return
        opened, unit = self._running.pop(event.number)
        try:
            if isinstance(event, Failed):
                self._handle_failure(opened, unit, event)
            elif unit.task == "range":
                self._keep_part(opened, unit, event)
            else:
                self._place(opened, unit, event)
        finally:
            shutil.rmtree(self._folder(unit), ignore_errors=True)

    def _handle_failure(self, opened: _Open, unit: Unit, event: Failed) -> None:
        place = (unit.name, unit.task, unit.start)
        self._tries[place] = self._tries.get(place, 0) + 1
        self._bar.advance(unit, 0)
        if event.may_pass and self._tries[place] < _ATTEMPTS:
            logger.info("%s: %s; trying again", unit.name, event.error)
            self._waiting.append((opened, unit))
        elif not opened.failed:
            self._fail(opened, event.error)

    def _fail(self, opened: _Open, error: str) -> None:
        opened.failed = True
        self._failed[opened.pair.name] = error
        self._journal.fail(opened.pair, error, opened.attempts)
        self._bar.leave_out(opened.pair)
        logger.warning("%s failed: %s", opened.pair.name, error)

    def _keep_part(self, opened: _Open, unit: Unit, event: Finished) -> None:
        part = self._journal.parts_folder / unit.key / f"{unit.start}-{unit.stop or 'end'}"
        part.parent.mkdir(exist_ok=True)
        move_into_place(self._folder(unit), part)
        self._bar.finish(unit, event.outcome.frames)
        opened.ranges -= 1
        if opened.ranges == 0 and not opened.failed:
            self._join(opened)

    def _place(self, opened: _Open, unit: Unit, event: Finished) -> None:
        """Move a result to its place and note it."""
        pair, folder = opened.pair, self._folder(unit)
        place = self._job.result_dir / pair.name
        main = folder / place.name
        try:
            check_inside(self._job.result_dir, pair.name)  # a link may have been made since the batch was planned
            place.parent.mkdir(parents=True, exist_ok=True)
            for beside in folder.iterdir():  # such as the visualization, so that the result itself comes last
                if beside != main:
                    _move(beside, place.parent / beside.name)
            _move(main, place)
        except InputError as error:
            self._fail(opened, str(error))
            return
        except OSError as error:
            self._fail(opened, f"the result cannot be moved to {place}: {error.strerror}")
            return
        self._journal.finish(pair, event.outcome, opened.attempts)
        shutil.rmtree(self._journal.parts_folder / pair.key, ignore_errors=True)
        self.done += 1
        self._frames += event.outcome.frames
        self._bar.finish_pair(pair, event.outcome.frames)
        self._tell(pair, event)

    def _tell(self, pair: Pair, event: Finished) -> None:
        outcome = event.outcome
        for warning in outcome.warnings:
            logger.warning("%s: %s", pair.name, warning)
        speed = outcome.frames / outcome.seconds if outcome.seconds else 0
        logger.info("%s: %d frames in %.1f s (%.1f frames/s)", pair.name, outcome.frames, outcome.seconds, speed)


def _can_be_split(job: AnimateJob) -> bool:
    """Return whether frames are independent: smoothing and everything drawn around the frame make them depend."""
    return not (job.smooth or job.visualize or job.paste_back or isinstance(job.face, FaceGroup))


def _move(origin: Path, place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)  # os.replace puts files over files only
    move_into_place(origin, place)


class _Bar:
    """Report progress in frames over all pairs; a pair of unknown length counts once it is done."""

    def __init__(self, pairs: Sequence[Pair], progress: Progress) -> None:
        self._progress = progress
        self._expected = {pair.name: pair.frames or 0 for pair in pairs}
        self._done: dict[str, dict[int, int]] = {}

    def advance(self, unit: Unit, frames: int) -> None:
        """Note how many frames of a unit are done; those of a join were counted before."""
        if unit.task != "join":
            self._done.setdefault(unit.name, {})[unit.start] = frames
            self._show()

    finish = advance

    def finish_pair(self, pair: Pair, frames: int) -> None:
        """Note that a result is done."""
        self._expected[pair.name] = frames
        self._done[pair.name] = {0: frames}
        self._show()

    def leave_out(self, pair: Pair) -> None:
        """Leave a result out of the count."""
        del self._expected[pair.name]
        self._done.pop(pair.name, None)
        self._show()

    def _show(self) -> None:
        done = sum(sum(units.values()) for units in self._done.values())
        self._progress("animating", done, max(done, sum(self._expected.values())))
