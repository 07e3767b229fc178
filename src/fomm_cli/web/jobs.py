"""Queue the jobs of the server: one runs at a time, the others wait."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fomm_cli.errors import FommError, InputError
from fomm_cli.web.limits import Limits
from fomm_cli.web.worker import StoppedError, Task, Worker

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[State] = frozenset({"done", "failed", "cancelled"})

_RATE_SECONDS = 4.0  # over which frames per second are measured


@dataclass
class Job:
    """A piece of work and what became of it.

    Attributes:
        kind: animate or score.
        title: what the page calls it.
        task: what a child process runs.
        arguments: of the task.
        folder: of its own, for its files.
        inputs: ids of the files and jobs that it was made from.
        id: how requests name it.
        state: where it stands.
        stage: what is being done.
        done: frames of this stage that are done.
        total: frames of this stage in all, where that is known.
        notes: messages of the work.
        error: problem and next step of a failed job.
        result: figures of a job that is done.
        seconds: how long it ran.
    """

    kind: str
    title: str
    task: Task
    arguments: dict[str, Any]
    folder: Path
    inputs: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "queued"
    stage: str = ""
    done: int = 0
    total: int | None = None
    notes: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    result: dict[str, Any] | None = None
    seconds: float = 0.0
    _pace: deque[tuple[float, int]] = field(default_factory=deque)
    _version: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def described(self) -> dict[str, Any]:
        """Return what the API tells about it."""
        rate = self._frames_per_second()
        left = None if rate is None or self.total is None else max(0, self.total - self.done) / rate
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "inputs": self.inputs,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "frames_per_second": rate,
            "seconds_left": left if self.state == "running" else None,
            "seconds": self.seconds,
            "notes": self.notes,
            "error": self.error,
            "result": self.result,
        }

    def advance(self, stage: str, done: int, total: int | None) -> None:
        """Take note of progress."""
        now = time.monotonic()
        if stage != self.stage:
            self._pace.clear()
        self._pace.append((now, done))
        while len(self._pace) > 2 and now - self._pace[0][0] > _RATE_SECONDS:
            self._pace.popleft()
        self.stage, self.done, self.total = stage, done, total
        self.announce()

    def note(self, text: str) -> None:
        """Take note of a message."""
        if text not in self.notes:
            self.notes.append(text)
            self.announce()

    def announce(self) -> None:
        """Wake everybody who watches."""
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the description now and after every change, until the job is finished."""
        while True:
            version, changed = self._version, self._changed
            yield self.described()
            if self.state in FINISHED and version == self._version:
                return
            if version == self._version:
                await changed.wait()

    def _frames_per_second(self) -> float | None:
        if len(self._pace) < 2:
            return None
        (first, before), (last, after) = self._pace[0], self._pace[-1]
        return (after - before) / (last - first) if last > first and after > before else None


class JobQueue:
    """Run jobs in the order in which they were added."""

    def __init__(self, worker: Worker, limits: Limits, named: Callable[[str], str]) -> None:
        """Compute in `worker`, which nobody else uses; `named` puts names for paths in messages."""
        self._named = named
        self._worker = worker
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        self._wake = asyncio.Event()

    @property
    def jobs(self) -> list[Job]:
        """Return all jobs that are kept, the oldest first."""
        return list(self._jobs.values())

    def get(self, number: str) -> Job:
        """Return a job.

        Raises:
            KeyError: there is none with this id.
        """
        return self._jobs[number]

    def add(self, job: Job) -> None:
        """Put a job at the end of the queue.

        Raises:
            InputError: too many wait already.
        """
        if sum(other.state == "queued" for other in self._jobs.values()) >= self._limits.queued_jobs:
            raise InputError("too many jobs are waiting", "Wait for one to finish, or cancel one")
        for other in [each for each in self.jobs if each.state in FINISHED][: -self._limits.kept_jobs]:
            self.remove(other.id)
        job.folder.mkdir()
        self._jobs[job.id] = job
        self._wake.set()

    def cancel(self, number: str) -> Job:
        """Stop a job, whether it waits or runs; a finished one stays as it is."""
        job = self.get(number)
        if job.state in FINISHED:
            return job
        was_running = job.state == "running"
        job.state = "cancelled"
        if was_running:
            self._worker.stop()
        shutil.rmtree(job.folder, ignore_errors=True)
        job.announce()
        return job

    def remove(self, number: str) -> None:
        """Cancel a job and forget it with its files."""
        job = self.cancel(number)
        shutil.rmtree(job.folder, ignore_errors=True)
        del self._jobs[number]

    async def work(self) -> None:
        """Run jobs until this task is cancelled."""
        while True:
            job = next((each for each in self._jobs.values() if each.state == "queued"), None)
            if job is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._run(job)

    async def _run(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        job.state, began = "running", time.monotonic()
        job.announce()

        def progress(stage: str, done: int, total: int | None) -> None:
            loop.call_soon_threadsafe(job.advance, stage, done, total)

        def note(text: str) -> None:
            loop.call_soon_threadsafe(job.note, self._named(text))

        outcome: State = "failed"
        try:
            job.result = await asyncio.to_thread(
                self._worker.run, job.task, job.arguments, progress, note, lambda: job.state == "running"
            )
            outcome = "done"
        except StoppedError:
            outcome = "cancelled"
        except FommError as error:
            job.error = {"problem": self._named(error.problem), "next_step": self._named(error.next_step)}
        await asyncio.sleep(0)  # progress that was sent before the end is taken note of first
        job.seconds = time.monotonic() - began
        if job.state == "running":
            job.state = outcome
        if job.state != "done":
            with contextlib.suppress(OSError):
                shutil.rmtree(job.folder)
        job.announce()
