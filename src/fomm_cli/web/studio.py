"""Hold what the routes of the local server work with: files, jobs, and the processes that compute."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

from fomm_cli.animation.motions import MOTIONS
from fomm_cli.errors import FommError, InputError
from fomm_cli.models.bundled import sample
from fomm_cli.models.catalogue import CATALOGUE
from fomm_cli.scoring.options import ScoreJob
from fomm_cli.web import tasks
from fomm_cli.web.files import FileStore, StoredFile
from fomm_cli.web.jobs import Job, JobQueue
from fomm_cli.web.limits import UPLOAD_PATH, Limits
from fomm_cli.web.live import LiveSockets
from fomm_cli.web.requests import AnimateRequest, ScoreRequest, animate_job
from fomm_cli.web.worker import Task, Worker

MOTION = "motion:"  # before the name of a motion of the package, where an id is expected


class Studio:
    """The files, jobs and processes of one run of the server."""

    def __init__(self, folder: Path, limits: Limits, token: str) -> None:
        """Keep everything in `folder`, which exists and is ours alone."""
        self.token = token
        self.limits = limits
        self.folder = folder
        uploads = folder / "files"
        uploads.mkdir()
        self.files = FileStore(uploads, limits)
        source, driving = sample()
        self.files.offer("sample-source", "sample portrait", source)
        self.files.offer("sample-driving", "sample video", driving)
        self.motions = {name: motion.about for name, motion in MOTIONS.items()}
        self._job_worker = Worker(folder)
        self._look_worker = Worker(folder)  # answers at once while a job runs
        self._looking = asyncio.Lock()
        self.queue = JobQueue(self._job_worker, limits, self.files.named)
        self.live = LiveSockets(folder, limits, lambda number: self.file(number).path)
        self.closing = asyncio.Event()

    def file(self, number: str) -> StoredFile:
        """Return a file by its id.

        Raises:
            InputError: there is none.
        """
        try:
            return self.files.get(number)
        except KeyError:
            raise InputError(f"there is no file {number[:40]!r}", f"Upload it first: POST {UPLOAD_PATH}") from None

    async def look(self, task: Task, arguments: dict[str, Any]) -> Any:
        """Run a short task beside the jobs."""
        async with self._looking:
            try:
                return await asyncio.to_thread(self._look_worker.run, task, arguments)
            except FommError as error:
                raise type(error)(self.files.named(error.problem), self.files.named(error.next_step)) from error

    def stop(self) -> None:
        """End all processes and streams at once."""
        self.closing.set()
        self.live.stop()
        self._job_worker.stop()
        self._look_worker.stop()

    def new_job(self, request: AnimateRequest | ScoreRequest) -> Job:
        """Make a job of a request.

        Raises:
            InputError: it asks for the impossible.
        """
        return self._animate_job(request) if isinstance(request, AnimateRequest) else self._score_job(request)

    def _animate_job(self, request: AnimateRequest) -> Job:
        source = self.file(request.source)
        driving, driving_name = self._driving(request.driving)
        folder = self.folder / f"job-{secrets.token_hex(8)}"
        checkpoint, config = _model(request.model)
        places = {
            "source_image": source.path,
            "driving_video": driving,
            "result_video": folder / "result",
            "checkpoint": checkpoint,
            "config": config,
        }
        arguments = {"job": animate_job(request.options, places), "format": f".{request.format}"}
        inputs = {"source": source.id, "driving": request.driving, "options": request.options, "model": request.model}
        title = f"{Path(source.name).stem} · {Path(driving_name).stem}"
        return Job("animate", title, tasks.animate_files, arguments, folder, inputs)

    def _driving(self, number: str) -> tuple[Path, str]:
        """Return path and name of a file, or of a motion of the package, which is named like a file."""
        name = number.removeprefix(MOTION)
        if number != name and name in self.motions:
            return Path(name), name
        file = self.file(number)
        return file.path, file.name

    def _score_job(self, request: ScoreRequest) -> Job:
        scored = self.queue.get(request.job)
        if scored.kind != "animate" or scored.state != "done" or scored.result is None or scored.result["still"]:
            raise InputError("only a finished video can be scored", "Wait until it is done")
        job = scored.arguments["job"]
        if job.driving_video.suffix == ".npz" or str(scored.inputs["driving"]).startswith(MOTION):
            raise InputError(
                "a motion without its video cannot be scored, since there is nothing to compare with", "Use a video"
            )
        result = ScoreJob(result_path(scored), job.driving_video, job.source_image)
        folder = self.folder / f"job-{secrets.token_hex(8)}"
        return Job("score", scored.title, tasks.score_files, {"job": result}, folder, {"job": scored.id})


def result_path(job: Job) -> Path:
    """Return the file that a finished job made."""
    if job.result is None or "file" not in job.result:
        raise KeyError(job.id)
    return job.folder / str(job.result["file"])


def _model(name: str | None) -> tuple[Path | None, str | None]:
    """Return the checkpoint and config of a model; published ones must be on this machine already."""
    if name in (None, ""):
        return None, None
    entry = CATALOGUE.get(str(name))
    path = None if entry is None else entry.local()
    if entry is None or path is None:
        raise InputError(
            f"the model {str(name)[:40]!r} is not on this machine", f"Type: fomm download {str(name)[:40]}"
        )
    return path, entry.config
